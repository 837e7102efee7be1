import numpy as np
import pytest
from scipy import ndimage

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.post_processors import post_processor
from napari_dacapo_tasks.tasks.post_processors.components import (
    ComponentsPostProcessor,
    ComponentsPostProcessorParameters,
)


def process(values, channels=("a",), first_channel=0, **changes):
    processor = ComponentsPostProcessor(channels, first_channel)
    return processor.process(values, processor.default.model_copy(update=changes))


def test_what_hangs_together_across_faces_is_an_object(prediction, same_place):
    values = prediction([[[0.5, 0.2, -1, 0.1], [-1, -1, 0.3, -1], [0.0, 0.4, 0.2, np.nan]]])
    labels = process(values)
    assert labels.data.dtype == np.uint32
    assert labels.data.tolist() == [[[1, 1, 0, 2], [0, 0, 3, 0], [0, 3, 3, 0]]]
    same_place(labels, values)
    assert process(values, threshold=0.25).data.tolist() == [
        [[1, 0, 0, 0], [0, 0, 2, 0], [0, 3, 0, 0]]
    ]


def test_small_objects_go_before_holes_are_filled(prediction):
    ring = np.full((5, 5), -1.0)
    ring[[0, -1]] = ring[:, [0, -1]] = 1
    ring[2, 2] = 1
    assert process(prediction([ring])).data.max() == 2
    assert (process(prediction([ring]), fill_holes=9).data == 0).sum() == 8, "it holds an object"
    assert (process(prediction([ring]), fill_holes=9, min_size=2).data == 1).all()
    assert (process(prediction([ring]), fill_holes=8, min_size=2).data == 0).sum() == 9


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_as_scipy_from_the_first_channel_on(prediction, same_place, monkeypatch, lazy, dtype):
    monkeypatch.setattr(post_processor, "_SLAB_VALUES", 500)
    random = np.random.default_rng(0).normal(size=(3, 13, 7, 9)).astype(dtype)
    values = prediction(random, lazy=lazy)
    labels = process(values, ["a", "b"], 1, threshold=0.3, min_size=3)
    for found, distance in zip(labels.data, random[1:], strict=True):
        expected, number = ndimage.label(distance > 0.3)
        kept = np.bincount(expected.ravel()) >= 3
        kept[0] = False
        np.testing.assert_array_equal(found, np.where(kept, np.cumsum(kept), 0)[expected])
        assert 1 < kept.sum() < number
    same_place(labels, values)
    if lazy:
        assert values.data.most <= 500


def test_other_channels_are_refused(prediction):
    with pytest.raises(DataError, match=r"3 channels, but the task needs 2 .*b\)"):
        process(prediction(np.zeros((3, 4, 4))), ["b"], 1)


@pytest.mark.parametrize("lazy", [False, True])
def test_progress_grows_and_leaving_cancels(prediction, monkeypatch, lazy):
    monkeypatch.setattr("napari_dacapo_tasks.numerics.regions._SLAB_VOXELS", 200)
    monkeypatch.setattr(post_processor, "_SLAB_VALUES", 800)
    values = prediction(np.random.default_rng(0).normal(size=(2, 30, 10, 10)), lazy=lazy)
    processor = ComponentsPostProcessor(["a", "b"])
    parameters = processor.default.model_copy(update={"fill_holes": 5})
    shares = list(processor.segment(values, parameters))
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] < 1
    steps = processor.segment(values, parameters)
    next(steps)
    steps.close()
    assert list(steps) == []


def test_the_sweep_is_of_the_thresholds_given():
    swept = list(ComponentsPostProcessor(["a"], thresholds=(0.0, 0.5)).enumerate_parameters())
    assert [one.threshold for one in swept] == [0.0, 0.5]


@pytest.mark.parametrize("wrong", [{"min_size": -1}, {"fill_holes": -1}, {"x": 1}])
def test_parameters_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ComponentsPostProcessorParameters(**wrong)


def test_the_clean_up_can_be_left_to_others():
    parameters = ComponentsPostProcessorParameters(threshold=0.5, min_size=4, fill_holes=7)
    assert (parameters.smallest_object, parameters.largest_hole) == (4, 7)
    bare = parameters.without_clean_up()
    assert (bare.threshold, bare.smallest_object, bare.largest_hole) == (0.5, 1, 0)
