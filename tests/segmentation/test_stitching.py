import numpy as np
import pytest

from napari_dacapo_tasks.numerics.holes import OPEN
from napari_dacapo_tasks.segmentation.stitching import (
    NOWHERE,
    Found,
    grouped,
    ids_of,
    names_of,
    overlapping,
    owners_of_groups,
    touching,
)


def ids(*values):
    return np.array(values, np.uint32)


def as_tuples(pairs):
    return list(zip(*(part.tolist() for part in ids_of(pairs)), strict=True))


def found(sizes, firsts):
    return Found(np.array([0, *sizes]), np.array([NOWHERE, *firsts]))


def test_what_is_in_one_voxel_touches():
    pairs = touching(ids(1, 1, 2, 0, 2**32 - 2), ids(7, 7, 0, 8, 9))
    assert as_tuples(pairs) == [(1, 7), (2**32 - 2, 9)]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ([1, 1, 1, 1], [5, 5, 5, 0], [(1, 5)]),
        ([1, 1, 1, 1], [5, 5, 0, 0], []),
        ([1, 1, 1, 2], [5, 5, 5, 5], [(1, 5)]),
        ([1, 1, 2, 2], [5, 5, 5, 5], []),
        ([1, 1, 2, 2], [5, 5, 6, 6], [(1, 5), (2, 6)]),
        ([0, 0, 0, 1], [0, 0, 0, 0], []),
        ([0, 0, 0, 0], [0, 0, 0, 0], []),
    ],
)
def test_what_is_mostly_the_same_overlaps(first, second, same):
    assert as_tuples(overlapping(ids(*first), ids(*second))) == same


def test_chains_are_one_object_that_is_named_by_its_first_voxel():
    pairs = [touching(ids(1), ids(4)), touching(ids(4, 2), ids(5, 6))]
    groups = grouped(found([3, 2, 9, 0, 1, 1], [50, 20, 8, NOWHERE, 10, 60]), pairs)
    assert names_of(groups, 1).tolist() == [0, 2, 3, 1, 2, 2, 3]
    assert names_of(groups, 4).tolist() == [0, 2, 0, 1, 2, 2, 0]
    assert names_of(groups, 5).tolist() == [0, 0, 0, 1, 0, 0, 0]


def test_what_is_only_seen_beyond_its_block_is_nothing():
    assert names_of(grouped(found([0, 1], [NOWHERE, 3]), []), 0).tolist() == [0, 0, 1]


def test_nothing_was_found():
    assert names_of(grouped(found([], []), []), 1).tolist() == [0]


def test_holes_have_one_owner_in_all_blocks():
    pairs = [touching(ids(1, 3, 5, 7), ids(2, 4, 6, 8))]
    groups = grouped(found([2] * 9, range(9)), pairs)
    owners = np.array([0, 4, 0, 4, 5, 4, OPEN, 0, 0, 6], np.uint32)
    owned = owners_of_groups(groups, owners, 4).tolist()
    assert owned[1:3] == [4, 4], "its other part meets nothing"
    assert owned[3:5] == [OPEN, OPEN], "two objects"
    assert owned[5:7] == [OPEN, OPEN], "one part is at the border"
    assert owned[7:9] == [OPEN, OPEN], "no object"
    assert owned[9] == 6
    assert owners_of_groups(groups, owners, 3).tolist()[1:3] == [OPEN, OPEN], "too large"
