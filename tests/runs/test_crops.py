"""Every position that a crop can have keeps to its data, and none is left out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi
from hypothesis import given
from hypothesis import strategies as st

from napari_dacapo_tasks.arrays import Array, Channel, GroundTruth, LabelsConfig
from napari_dacapo_tasks.runs.crops import CropGrid, everything_known, scan


def line(length: int, begin: int = 0, voxel: int = 8) -> Array:
    return Array(np.zeros((length,), np.uint8), axes="x", voxel_size=(voxel,), offset=(begin,))


@given(
    raw_length=st.integers(1, 30),
    raw_begin=st.integers(-5, 5),
    known_begin=st.integers(-30, 30),
    known_length=st.integers(1, 30),
    output=st.integers(1, 8),
    context=st.integers(0, 9),
)
def test_positions_are_all_that_fit(
    raw_length, raw_begin, known_begin, known_length, output, context
):
    raw = line(raw_length, raw_begin * 8)
    known = Roi((known_begin * 8,), (known_length * 8,))
    voxel = Coordinate((8,))
    grid = CropGrid.of(raw, known, (output + context,), (output,), voxel)

    wanted = [
        begin
        for begin in range(-60, 60)
        if raw.roi.contains(Roi((begin * 8,), ((output + context) * 8,)))
        and known.contains(Roi(((begin + context // 2) * 8,), (output * 8,)))
    ]
    found = [grid.input_roi((i,)).begin[0] // 8 for i in range(grid.counts[0])]
    assert found == wanted
    assert grid.empty == (not wanted)
    for i in range(grid.counts[0]):
        assert raw.roi.contains(grid.input_roi((i,)))
        assert known.contains(grid.output_roi((i,)))
    if wanted:
        covered = {
            p for i in range(grid.counts[0]) for p in range(*_span(grid.output_roi((i,))), 8)
        }
        assert grid.reachable == Roi((min(covered),), (max(covered) + 8 - min(covered),))
        for point in covered:
            low, high = grid.covering(Coordinate((point,)))
            holds = [i for i in range(grid.counts[0]) if grid.output_roi((i,)).contains((point,))]
            assert list(range(low[0], high[0] + 1)) == holds


def _span(roi: Roi) -> tuple[int, int]:
    return roi.begin[0], roi.end[0]


@given(st.integers(1, 30), st.integers(-20, 20), st.integers(1, 30), st.integers(0, 9))
def test_the_largest_input_is_the_last_that_fits(raw_length, known_begin, known_length, context):
    raw, known = line(raw_length), Roi((known_begin * 8,), (known_length * 8,))

    def empty(size: int) -> bool:
        return CropGrid.of(raw, known, (size,), (size - context,), Coordinate((8,))).empty

    fitting = [size for size in range(context + 1, 60) if not empty(size)]
    grid = CropGrid.of(raw, known, (60 + context,), (60,), Coordinate((8,)))
    largest = grid.largest_input[0]
    assert fitting == list(range(context + 1, largest + 1))


def test_a_finer_output_lies_in_the_middle():
    grid = CropGrid.of(
        line(10), Roi((0,), (80,)), (6,), (7,), Coordinate((4,))
    )  # 48 in, 28 out: 20 of context, 8 before and 12 after
    assert grid.output_roi((0,)) == Roi((8,), (28,))
    assert grid.counts == (5,)


def ground_truth(labels, mask=None, **config) -> GroundTruth:
    def placed(values):
        return None if values is None else Array(values, axes="yx", voxel_size=(8, 8))

    config = LabelsConfig(channels=(Channel(name="a", labels=(1,)),), **config)
    return GroundTruth(placed(labels), config, placed(mask))


def test_scanning_finds_what_is_known_and_where_objects_are():
    labels = np.zeros((70, 70), np.uint8)
    labels[1, 1] = labels[65, 65] = 1  # objects in the first and the last block
    labels[1, 65] = 2  # of another channel
    mask = np.zeros_like(labels)
    mask[:, 60:] = 1
    blocks = {
        b.roi.begin // 256: b for b in scan(ground_truth(labels, mask), Roi((0, 0), (560,) * 2))
    }
    assert set(blocks) == set(product(range(3), range(3)))
    assert {index for index, block in blocks.items() if block.known} == set(
        product(range(3), (1, 2))
    )
    assert {index for index, block in blocks.items() if block.objects} == {(2, 2)}


def test_scanning_keeps_to_the_region():
    region = Roi((80, 160), (320, 80))
    rois = [block.roi for block in scan(ground_truth(np.zeros((70, 70), np.uint8)), region)]
    assert sum(roi.size for roi in rois) == region.size
    assert all(region.contains(roi) for roi in rois)


@pytest.mark.parametrize(
    ("mask", "config", "known"),
    [
        (None, {}, True),
        (np.ones((5, 5), np.uint8), {}, False),
        (None, {"zero_is_unlabelled": True}, False),
        (None, {"ignore_label": 7}, False),
    ],
)
def test_everything_is_known_only_where_nothing_stands_for_unknown(mask, config, known):
    assert everything_known(ground_truth(np.zeros((5, 5), np.uint8), mask, **config)) is known
