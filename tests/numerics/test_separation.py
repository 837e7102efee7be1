import numpy as np
import pytest

from napari_dacapo_tasks.numerics.separation import separation


def compare(ids, found, known=None, **more):
    ids, found = np.array(ids), np.array(found, np.uint32)
    known = np.ones(ids.shape, np.uint8) if known is None else np.array(known)
    return separation(ids, found, known, **more)


def flaws(result):
    return result.merged, result.split, result.lost, result.wrong


# Rows of ten voxels each, so that one voxel is a tenth.
A, B, C = [5] * 10, [9] * 10, [7] * 10
NONE = [0] * 10


def test_all_apart_whatever_the_ids_are_called():
    result = compare([A, B, NONE, C], [[3] * 10, [1] * 10, NONE, [2] * 10])
    assert (result.objects, result.found) == (3, 3)
    assert flaws(result) == (0, 0, 0, 0)
    assert result.largest_wrong == 0


def test_two_of_like_size_that_are_one_are_both_merged():
    result = compare([A, B, C], [[1] * 10, [1] * 10, [2] * 10])
    assert flaws(result) == (2, 0, 0, 2)
    assert result.largest_wrong == 10


def test_a_small_one_within_a_large_one_is_merged_but_the_large_one_is_not():
    ids = np.full((10, 12), 4)
    ids[0, :3] = 8
    result = compare(ids, np.ones((10, 12), int))
    assert flaws(result) == (1, 0, 0, 1)
    assert result.largest_wrong == 3


def test_more_than_a_tenth_in_other_pieces_is_a_split():
    assert flaws(compare([A], [[1] * 5 + [2] * 5])) == (0, 1, 0, 1)
    assert flaws(compare([A], [[1] * 8 + [2] * 2])) == (0, 1, 0, 1)
    assert flaws(compare([A], [[1] * 9 + [2]])) == (0, 0, 0, 0)


def test_what_is_shattered_is_split():
    result = compare([[5] * 40], [range(1, 41)])
    assert flaws(result) == (0, 1, 0, 1)
    assert result.found == 40


def test_rims_may_belong_to_a_neighbour():
    ids = [[5] * 20 + [9] * 20]
    assert flaws(compare(ids, [[1] * 19 + [2] * 21])) == (0, 0, 0, 0)


def test_what_is_mostly_in_no_object_is_lost():
    result = compare([A, NONE, B], [[1] * 4 + [0] * 6, NONE, [2] * 5 + [0] * 5])
    assert flaws(result) == (0, 0, 1, 1)


def test_an_object_may_be_merged_and_split():
    result = compare([A, B], [[1] * 5 + [2] * 5, [2] * 10])
    assert flaws(result) == (2, 1, 0, 2)


def test_parts_of_an_id_may_come_out_as_one_or_as_several():
    ids = [[5] * 5 + [0] + [5] * 4 + [9] * 10]
    one = compare(ids, [[1] * 5 + [0] + [1] * 4 + [2] * 10])
    several = compare(ids, [[1] * 5 + [0] + [3] * 4 + [2] * 10])
    for result in (one, several):
        assert result.objects == 2
        assert flaws(result) == (0, 0, 0, 0)
    assert one.truth.tolist() == [[1] * 5 + [0] + [1] * 4 + [2] * 10]
    assert several.truth.tolist() == [[1] * 5 + [0] + [2] * 4 + [3] * 10]


def test_a_part_must_itself_come_out_whole():
    ids = [[5] * 6 + [0] + [5] * 6 + [9] * 10]
    result = compare(ids, [[1] * 3 + [3] * 3 + [0] + [4] * 6 + [2] * 10])
    assert flaws(result) == (0, 1, 0, 1)


def test_the_truth_of_parts_that_are_lost_stays_as_it_is():
    ids = [[5, 5, 0, 5, 0, 9, 9]]
    assert compare(ids, [[0] * 7]).truth.tolist() == [[1, 1, 0, 2, 0, 3, 3]]


def test_where_there_is_one_id_each_region_is_an_object():
    ids = [[1] * 10 + [0] + [1] * 10]
    result = compare(ids, [[1] * 10 + [0] + [2] * 10])
    assert (result.objects, result.found) == (2, 2)
    assert flaws(result) == (0, 0, 0, 0)
    assert flaws(compare(ids, [[1] * 21])) == (2, 0, 0, 2)


def test_what_is_not_known_does_not_count():
    known = [[1] * 10, [0] * 10, [1] * 5 + [0] * 5]
    result = compare([A, B, C], [[1] * 10, [1] * 10, [2] * 5 + [3] * 5], known)
    assert (result.objects, result.found) == (2, 2)
    assert flaws(result) == (0, 0, 0, 0)


def test_found_objects_in_the_background_are_counted_only():
    result = compare([A, NONE], [[1] * 10, [2] * 10])
    assert (result.objects, result.found) == (1, 2)
    assert flaws(result) == (0, 0, 0, 0)


def test_background_as_an_object():
    result = compare([A, NONE], [[1] * 10, [2] * 10], background_as_object=True)
    assert (result.objects, result.found) == (2, 2)
    assert flaws(result) == (0, 0, 0, 0)
    assert result.truth.tolist() == [[1] * 10, [2] * 10]
    result = compare([A, NONE], [[1] * 10, [1] * 10], background_as_object=True)
    assert flaws(result) == (2, 0, 0, 2)
    # The background around regions of one id is one object, they are one each.
    result = compare([[1, 1, 0, 1, 1, 0]], [[1, 1, 2, 3, 3, 2]], background_as_object=True)
    assert result.objects == 3
    assert flaws(result) == (0, 0, 0, 0)


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("found", [0, 1])
def test_no_object(known, found):
    shape = (3, 4)
    result = compare(np.zeros(shape, int), np.full(shape, found), np.full(shape, known))
    assert (result.objects, result.found) == (0, found * known)
    assert flaws(result) == (0, 0, 0, 0)
    assert not result.truth.any()


def test_huge_ids_and_volumes():
    ids = np.zeros((3, 4, 5), np.uint64)
    ids[0], ids[2] = 2**64 - 1, 2**64 - 2
    found = (ids > 0) + (ids == ids.max()).astype(np.uint32)
    result = separation(ids, found.astype(np.uint32), np.ones(ids.shape, bool))
    assert result.objects == 2
    assert flaws(result) == (0, 0, 0, 0)


def test_bool_ids():
    result = compare([[True, True, False]], [[1, 1, 0]])
    assert (result.objects, result.wrong) == (1, 0)
