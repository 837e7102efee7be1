import numpy as np
import pytest

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.distances import normalized_distance, signed_distance
from napari_dacapo_tasks.tasks.post_processors.watershed import (
    CONTEXT,
    WatershedPostProcessor,
)

SCALE = 160.0
TWO = np.zeros((9, 12, 24), np.uint8)
TWO[1:8, 2:10, 2:12] = 4
TWO[1:8, 2:10, 12:20] = 7


def process(processor, values, **changes):
    return processor.process(values, processor.default.model_copy(update=changes))


def target_of(ids, voxel_size):
    return normalized_distance(ids, voxel_size, SCALE)


@pytest.mark.parametrize(
    ("ids", "voxel_size"), [(TWO, (80, 40, 40)), (TWO, (40, 40, 40)), (TWO[4], (40, 40))]
)
def test_touching_objects_of_a_perfect_target_come_apart(prediction, same_place, ids, voxel_size):
    values = prediction(target_of(ids, voxel_size)[None], voxel_size)
    labels = process(WatershedPostProcessor(["a"], scale_factor=SCALE), values)
    expected = np.select([ids == 4, ids == 7], [1, 2])
    assert labels.data.dtype == np.uint32
    np.testing.assert_array_equal(labels.data[0], expected)
    same_place(labels, values)


def test_inner_distances_serve_as_well(prediction):
    inner = target_of(TWO, (40,) * 3) * (TWO > 0)
    labels = process(
        WatershedPostProcessor(["a"], scale_factor=SCALE), prediction(inner[None], (40,) * 3)
    )
    np.testing.assert_array_equal(labels.data[0], np.select([TWO == 4, TWO == 7], [1, 2]))


def test_bare_distances_need_no_scale(prediction):
    values = prediction(signed_distance(TWO, (40,) * 3)[None], (40,) * 3)
    labels = process(WatershedPostProcessor(["a"]), values)
    np.testing.assert_array_equal(labels.data[0], np.select([TWO == 4, TWO == 7], [1, 2]))


def test_each_channel_by_itself_from_the_first_one_on(prediction):
    one = target_of(TWO, (40,) * 3)
    other = target_of(np.where(TWO == 4, 1, 0), (40,) * 3)
    values = prediction([np.ones_like(one), one, other], (40,) * 3)
    labels = process(WatershedPostProcessor(["a", "b"], 1, SCALE), values)
    np.testing.assert_array_equal(labels.data[0], np.select([TWO == 4, TWO == 7], [1, 2]))
    np.testing.assert_array_equal(labels.data[1], TWO == 4)


def test_a_deeper_seed_keeps_apart_what_a_network_blurs(prediction):
    row = np.array([-1, 0.5, 0.9, 0.9, 0.6, 0.5, 0.6, 0.9, 0.9, 0.5, -1], np.float32)
    values = prediction(np.tile(row, (1, 5, 1)), (40, 40))
    processor = WatershedPostProcessor(["a"], scale_factor=80.0)
    assert process(processor, values).data.max() == 1
    labels = process(processor, values, seed_depth=1.5).data[0]
    assert labels[2].tolist() == [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 0]


def test_threshold_and_small_objects(prediction):
    row = np.array([0.05, 0.9, 0.9, -1, 0.3, -1], np.float32)
    values = prediction(np.tile(row, (1, 1, 1)), (40, 40))
    processor = WatershedPostProcessor(["a"], scale_factor=80.0)
    assert process(processor, values).data.tolist() == [[[1, 1, 1, 0, 2, 0]]]
    assert process(processor, values, threshold=0.1).data.tolist() == [[[0, 1, 1, 0, 2, 0]]]
    assert process(processor, values, min_size=2).data.tolist() == [[[1, 1, 1, 0, 0, 0]]]


def test_nan_is_no_object(prediction):
    values = prediction(np.full((1, 3, 4, 5), np.nan, np.float32))
    assert not process(WatershedPostProcessor(["a"], scale_factor=SCALE), values).data.any()


def test_other_channels_are_refused(prediction):
    with pytest.raises(DataError, match=r"3 channels, but the task needs 2 .*b\)"):
        process(WatershedPostProcessor(["b"], 1, SCALE), prediction(np.zeros((3, 4, 4))))


def test_progress_grows_and_leaving_cancels(prediction):
    random = np.random.default_rng(0).random((2, 40, 40, 40)).astype(np.float32)
    processor = WatershedPostProcessor(["a", "b"], scale_factor=SCALE)
    shares = list(processor.segment(prediction(random), processor.default))
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.5 < shares[-1] < 1
    steps = processor.segment(prediction(random), processor.default)
    next(steps)
    next(steps)
    steps.close()
    assert list(steps) == []


def test_the_sweep_holds_the_default():
    processor = WatershedPostProcessor(["a"])
    swept = list(processor.enumerate_parameters())
    assert processor.default in swept
    assert len(set(swept)) == len(swept) == 12


def test_holes_are_filled_after_small_objects_are_left_out(prediction):
    plane = np.full((9, 18), 0.9, np.float32)
    plane[[0, -1]] = plane[:, [0, -1]] = -1
    plane[3:6, 3:6] = plane[4, 12] = -1
    plane[4, 4] = 0.3
    processor = WatershedPostProcessor(["a"], scale_factor=80.0)
    values = prediction(plane[None], (40, 40))
    assert process(processor, values).data.max() == 2
    assert (process(processor, values, fill_holes=9).data[0, 3:6, 3:6] == 0).sum() == 8
    filled = process(processor, values, fill_holes=9, min_size=2).data[0]
    np.testing.assert_array_equal(filled[1:-1, 1:-1], 1)
    assert not filled[0].any()


def test_it_sees_as_far_along_every_axis():
    processor = WatershedPostProcessor(["a"])
    assert tuple(processor.context((4, 4, 4))) == (CONTEXT,) * 3
    assert tuple(processor.context((40, 4, 4))) == (2, CONTEXT, CONTEXT)
