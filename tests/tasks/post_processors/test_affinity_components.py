import numpy as np
import pytest
from scipy import ndimage

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.post_processors.affinity_components import (
    AffinityComponentsPostProcessor,
)

PLANE = [(1, 0), (0, -1)]


def process(values, offsets=PLANE, **changes):
    processor = AffinityComponentsPostProcessor(offsets)
    return processor.process(values, processor.default.model_copy(update=changes))


def affinities(ids, offsets):
    made = np.zeros((len(offsets), *ids.shape), np.float32)
    for affinity, offset in zip(made, offsets, strict=True):
        axes = list(zip(offset, ids.shape, strict=True))
        here = tuple(slice(max(0, -step), min(n, n - step)) for step, n in axes)
        there = tuple(slice(max(0, step), min(n, n + step)) for step, n in axes)
        affinity[here] = (ids[here] == ids[there]) & (ids[here] > 0)
    return made


def test_chains_of_neighbours_are_objects(prediction, same_place):
    values = prediction(
        [
            [[0.9, 0.1, 0.0], [0.0, 0.0, 0.6]],
            [[0.0, 0.0, 0.0], [0.0, 0.0, 0.3]],
        ]
    )
    labels = process(values)
    assert labels.data.dtype == np.uint32
    assert labels.data.tolist() == [[[1, 0, 0], [1, 0, 0]]], "a partner outside is none"
    same_place(labels, values)
    assert process(values, threshold=0.2).data.tolist() == [[[1, 0, 0], [1, 2, 2]]]


@pytest.mark.parametrize("shape", [(20, 24), (9, 12, 14)])
def test_a_perfect_target_is_taken_apart(prediction, cells, shape):
    ids = cells(shape, 12)
    offsets = [tuple(row) for row in np.eye(len(shape), dtype=int)] + [(3,) * len(shape)]
    labels = process(prediction(affinities(ids, offsets)), offsets, min_size=0).data[0]
    expected, number = np.zeros(shape, int), 0
    for one in np.unique(ids[ids > 0]):
        regions, more = ndimage.label(ids == one)
        regions[np.isin(regions, np.flatnonzero(np.bincount(regions.ravel()) == 1))] = 0
        expected[regions > 0] = regions[regions > 0] + number
        number += more
    pairs = set(zip(labels.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_long_offsets_count_only_without_short_ones(prediction):
    row = np.zeros((2, 1, 6))
    row[1] = 0.9
    assert not process(prediction(row), [(0, 1), (0, 3)]).data.any()
    both = process(prediction(row), [(0, 2), (0, 3)], min_size=0)
    assert both.data.tolist() == [[[1, 2, 3, 1, 2, 3]]]


def test_small_objects_go_and_holes_are_filled(prediction):
    ids = np.ones((5, 7), int)
    ids[1:4, 1:4] = 0
    ids[0, 5:] = 2
    made = prediction(affinities(ids, PLANE))
    assert (process(made).data == 0).sum() == 9
    assert (process(made, fill_holes=9).data == 0).sum() == 0
    assert process(made, min_size=3).data.max() == 1


def test_it_sees_as_far_as_its_offsets():
    short = AffinityComponentsPostProcessor([(1, 0, 0), (0, -1, 0), (0, 0, 9)])
    assert tuple(short.context((40, 4, 4))) == (1, 1, 1)
    long = AffinityComponentsPostProcessor([(2, 0, -5), (0, 3, 0)])
    assert tuple(long.context((4, 4, 4))) == (2, 3, 5)


def test_what_does_not_fit_is_refused(prediction):
    with pytest.raises(DataError, match="1 channels, but the task needs 2"):
        process(prediction(np.zeros((1, 4, 5))))
    with pytest.raises(DataError, match=r"The offset \(1, 0\) does not fit a prediction of 3 axes"):
        process(prediction(np.zeros((2, 4, 5, 6))))


def test_the_sweep_holds_the_default():
    processor = AffinityComponentsPostProcessor(PLANE)
    swept = list(processor.enumerate_parameters())
    assert processor.default in swept
    assert len(set(swept)) == len(swept) > 3
