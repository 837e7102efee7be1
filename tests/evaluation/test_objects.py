"""Findings about objects: small counter-examples, and a slow version that follows the words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dacapo_tasks.evaluation.mistakes import MERGE, SPLIT, codes_of
from napari_dacapo_tasks.evaluation.objects import Findings, object_rows
from napari_dacapo_tasks.numerics.contingency import Overlaps, match
from napari_dacapo_tasks.numerics.locations import Locations

few = settings(max_examples=200, deadline=None)
lines = st.integers(1, 40).flatmap(
    lambda length: st.tuples(
        arrays(np.int64, (length, 1), elements=st.integers(0, 4)),
        arrays(np.int64, (length, 1), elements=st.integers(0, 5)),
        arrays(np.uint8, (length, 1), elements=st.sampled_from([0, 1, 1, 1])),
    )
)


def rows_of(truth, segmentation, known=None):
    """List findings as kind, id and partners; ids are labels."""
    truth, segmentation = np.atleast_2d(truth), np.atleast_2d(segmentation)
    located = Locations(truth, segmentation, known)
    names = tuple(np.arange(labels.max(initial=0) + 1) for labels in (truth, segmentation))
    begin, size = (0.0,) * truth.ndim, (1.0,) * truth.ndim
    return object_rows("a", located, Findings(located.overlaps), names, begin, size)


def found(truth, segmentation):
    return {(row.kind, row.id, row.partners) for row in rows_of(truth, segmentation)}


def painted(truth, segmentation):
    located = Locations(np.atleast_2d(truth), np.atleast_2d(segmentation))
    return located.painted(codes_of(Findings(located.overlaps))).ravel().tolist()


def runs(*pieces):
    """Write labels as (label, length) pairs."""
    return np.concatenate([np.full(length, label) for label, length in pieces])


def slowly(truth, segmentation, known):
    """Find the same as the words say it, with sets of voxels."""

    def voxels_of(labels):
        where = known.ravel() != 0
        return {
            one: set(np.flatnonzero((labels.ravel() == one) & where).tolist())
            for one in np.unique(labels[known != 0]).tolist()
            if one
        }

    objects, segments = voxels_of(truth), voxels_of(segmentation)
    iou = {(t, s): len(a & b) / len(a | b) for t, a in objects.items() for s, b in segments.items()}
    matches = {pair for pair, value in iou.items() if value > 0.5}
    holds = {
        (t, s) for t, a in objects.items() for s, b in segments.items() if len(a & b) / len(a) > 0.5
    }
    contains = {
        (t, s) for t, a in objects.items() for s, b in segments.items() if len(a & b) / len(b) > 0.5
    }
    merged = {s for s in segments if sum(pair[1] == s for pair in holds) >= 2}
    split, named = set(), set()
    for t, a in objects.items():
        shared = {s: len(a & b) for s, b in segments.items() if a & b}
        if sum(shared.values()) <= 0.5 * len(a):
            continue
        main = min(shared, key=lambda s: (-shared[s], s))
        cut_off = sum(n for s, n in shared.items() if s != main and (t, s) in contains)
        if not any(pair[0] == t for pair in holds) or cut_off > 0.1 * len(a):
            split.add(t)
            named |= {
                s for s, n in shared.items() if s == main or (t, s) in contains or n > 0.1 * len(a)
            }
    matched = {t for t, _ in matches}
    missed = {
        t
        for t in objects
        if t not in matched and t not in split and not any((t, s) in holds for s in merged)
    }
    false = set(segments) - {s for _, s in matches} - merged - named
    return {"matched": matched, "missed": missed, "split": split, "merged": merged, "false": false}


@given(lines)
@few
def test_findings_are_those_of_the_slow_version(drawn):
    rows = rows_of(*drawn)
    expected = slowly(*drawn)
    for kind, ids in expected.items():
        assert sorted(row.id for row in rows if row.kind == kind) == sorted(ids)


@given(lines)
@few
def test_matches_are_those_of_the_instance_evaluator_and_all_are_named(drawn):
    truth, segmentation, known = drawn
    rows = rows_of(*drawn)
    matching = match(Overlaps.of(truth, segmentation, known))
    matched = [row for row in rows if row.kind == "matched"]
    assert len(matched) == matching.matched
    assert sum(row.iou for row in matched) == pytest.approx(matching.similarity)
    objects, segments = (
        {row.id for row in rows if row.of_segment is own}
        | {one for row in rows if row.of_segment is not own for one in row.partners}
        for own in (False, True)
    )
    for labels, named in (truth, objects), (segmentation, segments):
        assert named == set(np.unique(labels[known != 0]).tolist()) - {0}


@given(lines)
@few
def test_every_wrong_voxel_is_painted_and_no_other(drawn):
    truth, segmentation, known = drawn
    located = Locations(truth, segmentation, known)
    picture = located.painted(codes_of(Findings(located.overlaps)))
    known = known != 0
    expected_false = (truth == 0) & (segmentation != 0) & known
    np.testing.assert_array_equal(picture == 1, expected_false)
    np.testing.assert_array_equal(picture == 2, (truth != 0) & (segmentation == 0) & known)
    # What is right pairs objects and segments one to one.
    right = (picture == 0) & (truth != 0) & known
    pairs = {*zip(truth[right].tolist(), segmentation[right].tolist(), strict=True)}
    assert len({t for t, _ in pairs}) == len({s for _, s in pairs}) == len(pairs)


def test_equal_labels_match_whatever_their_numbers():
    assert found([1, 1, 0, 2], [7, 7, 0, 3]) == {("matched", 1, (7,)), ("matched", 2, (3,))}
    assert painted([1, 1, 0, 2], [7, 7, 0, 3]) == [0, 0, 0, 0]


def test_half_of_the_union_is_no_match():
    truth, half = [1, 1, 0, 0], [5, 0, 0, 0]
    assert found(truth, half) == {("missed", 1, (5,)), ("false", 5, (1,))}
    assert found([1, 1, 1, 0], [5, 5, 0, 0]) == {("matched", 1, (5,))}


def test_nothing_found_and_nothing_there():
    assert found([1, 1, 0], [0, 0, 0]) == {("missed", 1, ())}
    assert found([0, 0, 0], [4, 4, 0]) == {("false", 4, ())}
    assert found([0, 0], [0, 0]) == set()


def test_an_object_in_two_halves_is_split():
    truth, segmentation = runs((1, 8)), runs((2, 4), (3, 4))
    assert found(truth, segmentation) == {("split", 1, (2, 3))}
    assert painted(truth, segmentation) == [0] * 4 + [SPLIT] * 4


def test_an_object_in_crumbs_is_split():
    truth = runs((1, 40))
    assert found(truth, np.arange(1, 41)) == {("split", 1, tuple(range(1, 41)))}


def test_an_object_that_matches_may_be_split_too():
    truth, segmentation = runs((1, 10)), runs((2, 6), (3, 4))
    assert found(truth, segmentation) == {("matched", 1, (2,)), ("split", 1, (2, 3))}


def test_a_crumb_of_a_tenth_is_no_split_but_false():
    truth = runs((1, 10))
    assert found(truth, runs((2, 9), (3, 1))) == {("matched", 1, (2,)), ("false", 3, (1,))}
    assert ("split", 1, (2, 3)) in found(truth, runs((2, 8), (3, 2)))


def test_a_neighbour_that_reaches_in_is_no_split():
    # A quarter of the first is in the segment of the second, which is mostly elsewhere.
    truth, segmentation = runs((1, 8), (2, 12)), runs((5, 6), (6, 14))
    assert found(truth, segmentation) == {("matched", 1, (5,)), ("matched", 2, (6,))}
    assert painted(truth, segmentation) == [0] * 6 + [MERGE] * 2 + [0] * 12


def test_two_objects_in_one_segment_are_merged():
    truth, segmentation = runs((1, 5), (2, 5)), runs((9, 10))
    assert found(truth, segmentation) == {("merged", 9, (1, 2))}
    assert painted(truth, segmentation) == [0] * 5 + [MERGE] * 5


def test_a_large_object_and_a_small_one_match_and_are_merged():
    truth, segmentation = runs((1, 9), (2, 2)), runs((9, 11))
    assert found(truth, segmentation) == {("matched", 1, (9,)), ("merged", 9, (1, 2))}


def test_half_of_an_object_is_not_merged():
    truth, segmentation = runs((1, 6), (2, 4)), runs((9, 8), (0, 2))
    assert found(truth, segmentation) == {("matched", 1, (9,)), ("missed", 2, (9,))}


def test_an_object_across_two_merged_segments_is_split():
    truth = runs((1, 6), (2, 4), (3, 6))
    segmentation = runs((7, 8), (8, 8))
    assert found(truth, segmentation) == {
        ("matched", 1, (7,)),
        ("split", 2, (7, 8)),
        ("matched", 3, (8,)),
    }


def test_a_row_says_where_the_object_is():
    truth = np.zeros((2, 4, 9), int)
    truth[1, 1:4, 2:7] = 3  # a ring: its centre of mass is no voxel of it
    truth[1, 2, 3:6] = 0
    located = Locations(truth, truth)
    names = (np.array([0, 0, 0, 2**40]),) * 2
    (row,) = object_rows(
        "a", located, Findings(located.overlaps), names, (100.0, 0.0, -8.0), (10.0, 4.0, 4.0)
    )
    assert (row.id, row.kind, row.partners, row.voxels) == (2**40, "matched", (2**40,), 12)
    assert row.iou == 1
    assert row.voxel in {(1, 1, 4), (1, 3, 4)}
    assert row.centre == (110.0, 4.0 * row.voxel[1], 8.0)
    assert row.box == ((110.0, 4.0, 0.0), (120.0, 16.0, 20.0))


def test_rows_come_by_kind_and_size():
    truth = runs((1, 2), (0, 1), (2, 5), (0, 1), (3, 3), (0, 4))
    segmentation = runs((0, 3), (2, 5), (0, 1), (3, 3), (0, 1), (9, 3))
    assert [(row.kind, row.id) for row in rows_of(truth, segmentation)] == [
        ("matched", 2),
        ("matched", 3),
        ("missed", 1),
        ("false", 9),
    ]
