import re

import pytest

from napari_dacapo_tasks.tasks.neighborhoods import (
    PRESETS,
    equal_reach,
    flaw,
    in_plane,
    mutex_watershed,
    nearest,
    offset_name,
)

SIZES = [(8, 8, 8), (40, 4, 4), (5.24, 4, 4), (4, 4), (10, 4)]


@pytest.mark.parametrize(
    ("offset", "name"),
    [
        ((1, 0, 0), "z+1"),
        ((0, -3, 0), "y-3"),
        ((-2, 1, 1), "z-2 y+1 x+1"),
        ((1, 0), "y+1"),
        ((0, 27), "x+27"),
        ((0, 0), "0"),
    ],
)
def test_offsets_are_named_by_their_axes(offset, name):
    assert offset_name(offset) == name


@pytest.mark.parametrize("title", PRESETS)
@pytest.mark.parametrize("voxel_size", SIZES)
def test_every_preset_is_a_good_neighbourhood_of_the_datas_axes(title, voxel_size):
    made = PRESETS[title](voxel_size)
    assert flaw(made) is None
    assert all(len(offset) == len(voxel_size) for offset in made)
    # Of an offset and its opposite, which say the same, one is there.
    assert not {tuple(-step for step in offset) for offset in made} & set(made)


def test_the_nearest_are_one_step_along_each_axis():
    assert nearest((8, 8, 8)) == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert nearest((4, 4)) == [(1, 0), (0, 1)]


def test_the_set_of_the_mutex_watershed_is_that_of_the_paper_mirrored():
    # S. Wolf et al. 2018, for ISBI.
    paper = [
        *((-1, 0, 0), (0, -1, 0), (0, 0, -1)),
        *((-1, -1, -1), (-1, 1, 1), (-1, -1, 1), (-1, 1, -1)),
        *((0, -9, 0), (0, 0, -9)),
        *((0, -9, -9), (0, 9, -9), (0, -9, -4), (0, -4, -9), (0, 4, -9), (0, 9, -4)),
        *((0, -27, 0), (0, 0, -27)),
    ]
    either_way = [{offset, tuple(-step for step in offset)} for offset in paper]
    made = mutex_watershed((50, 4, 4))
    assert len(made) == len(paper)
    assert all(offset in pair for offset, pair in zip(made, either_way, strict=True))


def test_within_sections_nothing_looks_at_another_section():
    made = in_plane((40, 4, 4))
    assert (0, 1, 0) in made
    assert (0, 0, 27) in made
    assert all(offset[0] == 0 for offset in made)
    assert in_plane((4, 4)) == [offset[1:] for offset in made]


def test_long_range_reaches_as_far_in_nanometres():
    assert equal_reach((8, 8, 8)) == [
        *((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        *((3, 0, 0), (0, 3, 0), (0, 0, 3)),
        *((9, 0, 0), (0, 9, 0), (0, 0, 9)),
        *((27, 0, 0), (0, 27, 0), (0, 0, 27)),
    ]
    # 27 voxels of 4 nm are 108 nm, and 3 of 40 nm 120; 12 and 36 nm are no step of 40 nm but the
    # first.
    assert equal_reach((40, 4, 4)) == [
        *((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        *((0, 3, 0), (0, 0, 3)),
        *((0, 9, 0), (0, 0, 9)),
        *((3, 0, 0), (0, 27, 0), (0, 0, 27)),
    ]
    assert equal_reach((4, 4), farthest=36) == [(1, 0), (0, 1), (3, 0), (0, 3), (9, 0), (0, 9)]


@pytest.mark.parametrize(
    ("neighborhood", "said"),
    [
        ([], "there is no offset"),
        ([(1, 0, 0), (1, 0)], r"\[1, 0, 0\] and \[1, 0\] have 3 and 2 axes"),
        ([(1,)], r"\[1\] has 1 axes"),
        ([(1, 0, 0, 0)], r"\[1, 0, 0, 0\] has 4 axes"),
        ([(1, 0), (0, 0)], r"\[0, 0\] leads from a voxel to itself"),
        ([(1, 0), (0, 1), (1, 0)], r"\[1, 0\] stands more than once"),
        ([[1, 0], (1, 0)], r"\[1, 0\] stands more than once"),
    ],
)
def test_what_is_wrong_is_said_with_the_values(neighborhood, said):
    assert re.search(said, flaw(neighborhood))


def test_offsets_both_ways_are_allowed():
    assert flaw([(1, 0), (-1, 0)]) is None
