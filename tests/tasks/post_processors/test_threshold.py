import numpy as np
import pytest

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.post_processors import post_processor
from napari_dacapo_tasks.tasks.post_processors.affinity_components import (
    AffinityComponentsPostProcessor,
)
from napari_dacapo_tasks.tasks.post_processors.components import ComponentsPostProcessor
from napari_dacapo_tasks.tasks.post_processors.mutex_watershed import MutexWatershedPostProcessor
from napari_dacapo_tasks.tasks.post_processors.threshold import (
    ThresholdPostProcessor,
    ThresholdPostProcessorParameters,
)
from napari_dacapo_tasks.tasks.post_processors.watershed import WatershedPostProcessor


def at(threshold):
    return ThresholdPostProcessorParameters(threshold=threshold)


def test_above_the_threshold_is_foreground(prediction, same_place):
    values = prediction([[[-0.5, 0.0, 0.2]], [[0.3, -0.1, np.nan]]])
    labels = ThresholdPostProcessor(["a", "b"]).process(values, at(0.0))
    assert labels.data.dtype == np.uint8
    assert labels.data.tolist() == [[[0, 0, 1]], [[1, 0, 0]]]
    same_place(labels, values)
    labels = ThresholdPostProcessor(["a", "b"]).process(values, at(-0.2))
    assert labels.data.tolist() == [[[0, 1, 1]], [[1, 1, 0]]]


def test_the_first_channel_may_be_a_later_one(prediction):
    values = prediction([[[1.0, 1.0]], [[-1.0, 1.0]]])
    labels = ThresholdPostProcessor(["b"], first_channel=1).process(values, at(0.0))
    assert labels.data.tolist() == [[[0, 1]]]


def test_a_large_prediction_is_read_in_parts(prediction, same_place, monkeypatch):
    monkeypatch.setattr(post_processor, "_SLAB_VALUES", 500)
    random = np.random.default_rng(0).normal(size=(2, 23, 7, 9)).astype(np.float32)
    values = prediction(random, lazy=True)
    steps = ThresholdPostProcessor(["a", "b"]).segment(values, at(0.1))
    shares = []
    while True:
        try:
            shares.append(next(steps))
        except StopIteration as end:
            labels = end.value
            break
    assert len(shares) > 4
    assert shares == sorted(shares)
    assert values.data.most <= 500
    np.testing.assert_array_equal(labels.data, random > 0.1)
    same_place(labels, values)


@pytest.mark.parametrize("number", [1, 3])
def test_other_channels_are_refused(prediction, number):
    values = prediction(np.zeros((number, 4, 4)))
    with pytest.raises(DataError, match=rf"{number} channels, but the task needs 2 .*a, b"):
        ThresholdPostProcessor(["a", "b"]).process(values, at(0.0))


def test_a_prediction_without_channels_is_refused(prediction):
    from napari_dacapo_tasks.arrays import NumpyArray

    bare = NumpyArray(np.zeros((4, 4)), axes="yx", voxel_size=(1, 1))
    with pytest.raises(DataError, match="has no channels"):
        ThresholdPostProcessor(["a"]).process(bare, at(0.0))


def test_the_sweep_holds_the_default():
    processor = ThresholdPostProcessor(["a"])
    swept = list(processor.enumerate_parameters())
    assert processor.default in swept
    assert len(set(swept)) == len(swept) == 3
    other = ThresholdPostProcessor(["a"], thresholds=(0.4, 0.6))
    assert [one.threshold for one in other.enumerate_parameters()] == [0.4, 0.6]


def test_leaving_cancels(prediction):
    steps = ThresholdPostProcessor(["a"]).segment(prediction(np.zeros((1, 4, 4))), at(0.0))
    assert next(steps) == 0
    steps.close()
    assert list(steps) == []


def test_holes_are_filled_on_request(prediction, same_place):
    plane = np.ones((6, 9))
    plane[2:4, 2:4] = plane[0, 7] = plane[3, 6] = -1
    values = prediction([plane, -plane])
    processor = ThresholdPostProcessor(["a", "b"])
    parameters = processor.default.model_copy(update={"fill_holes": 3})
    labels = processor.process(values, parameters)
    assert labels.data.dtype == np.uint8
    assert (labels.data[0] == 0).sum() == 5, "only the hole of one voxel is small enough"
    np.testing.assert_array_equal(labels.data[1], plane < 0)
    same_place(labels, values)
    shares = list(processor.segment(values, parameters))
    assert shares == sorted(shares)


@pytest.mark.parametrize("threshold", [np.nan, np.inf])
def test_a_threshold_is_a_number(threshold):
    with pytest.raises(ValueError, match="finite number"):
        at(threshold)


@pytest.mark.parametrize(
    "processor",
    [
        ThresholdPostProcessor(["a"]),
        ComponentsPostProcessor(["a"]),
        WatershedPostProcessor(["a"]),
        AffinityComponentsPostProcessor([(0, 1)]),
        MutexWatershedPostProcessor([(0, 1)]),
    ],
)
def test_predictions_that_were_stretched_over_bytes_are_refused(prediction, processor):
    row = np.array([[[0, 1, 1, 0]]], np.uint8)
    assert processor.process(prediction(row), processor.default).data.any()
    for lazy in (False, True):
        with pytest.raises(DataError, match=r"uint8 with values up to 255.*divide by 255"):
            processor.process(prediction(row * np.uint8(255), lazy=lazy), processor.default)
