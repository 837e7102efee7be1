from collections import Counter
from math import isnan, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import adapted_rand_error as rand_error_of_skimage
from skimage.metrics import variation_of_information

from napari_dacapo_tasks.numerics.contingency import (
    Overlaps,
    adapted_rand_error,
    conditional_entropies,
    match,
)

few = settings(max_examples=60, deadline=None)
shapes = st.one_of(st.tuples(*[st.integers(1, 6)] * 3), st.tuples(*[st.integers(1, 10)] * 2))
far_apart = st.sampled_from([0, 1, 2, 2**32, 2**40, 2**40 + 1, 2**63, 2**64 - 1])
pairs_of_labels = shapes.flatmap(
    lambda shape: st.tuples(
        arrays(np.uint64, shape, elements=far_apart), arrays(np.uint64, shape, elements=far_apart)
    )
)
few_ids = shapes.flatmap(
    lambda shape: st.tuples(*[arrays(np.int64, shape, elements=st.integers(0, 4))] * 2)
)


def table_of(overlaps):
    pairs = zip(overlaps.first.tolist(), overlaps.second.tolist(), strict=True)
    table = dict(zip(pairs, overlaps.voxels.tolist(), strict=True))
    assert len(table) == len(overlaps.voxels), "a pair stands there twice"
    return table


def counted(first, second, known=None):
    chosen = np.ones(first.shape, bool) if known is None else known != 0
    return Counter(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True))


@few
@given(pairs_of_labels, st.randoms())
def test_any_ids_against_plain_counting(pair, random):
    first, second = pair
    known = np.array([random.random() < 0.7 for _ in range(first.size)]).reshape(first.shape)
    assert table_of(Overlaps.of(first, second)) == counted(first, second)
    assert table_of(Overlaps.of(first, second, known)) == counted(first, second, known)


@pytest.mark.parametrize("step", [1, 2**10, 2**32, 2**54])
def test_many_ids_of_any_spacing_in_many_blocks(step):
    # More than a table begins with, more voxels than a block, and ids that differ in few bits.
    numbers = np.random.default_rng(0).integers(0, 60, (2, 50, 60, 70), np.uint64)
    first, second = numbers * np.uint64(step)
    assert table_of(Overlaps.of(first, second)) == counted(first, second)


@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"])
def test_types_and_layouts(dtype):
    labels = np.random.default_rng(0).integers(0, 2, (2, 20, 30, 40)).astype(dtype)
    first, second = np.asfortranarray(labels[0])[::-1], labels[1, :, ::-1]
    assert table_of(Overlaps.of(first, second)) == counted(first.astype(int), second.astype(int))


def test_sizes_are_those_of_the_whole_id():
    overlaps = Overlaps.of(np.array([[7, 7, 7, 9]]), np.array([[1, 1, 2, 2]]))
    order = np.lexsort([overlaps.second, overlaps.first])
    assert overlaps.firsts.sizes[order].tolist() == [3, 3, 1]
    assert overlaps.seconds.sizes[order].tolist() == [2, 2, 2]
    assert overlaps.firsts.ids.tolist() == [7, 9]


def test_entropies_by_hand():
    # Object 1 is split in halves of 2 voxels, objects 2 and 3 of 2 voxels each are merged.
    truth = np.array([[1, 1, 1, 1, 2, 2, 3, 3]])
    segmentation = np.array([[4, 4, 5, 5, 6, 6, 6, 6]])
    overlaps = Overlaps.of(truth, segmentation)
    assert conditional_entropies(overlaps) == (0.5, 0.5)
    # 2, 2 and 2 + 2 voxels: 2 + 2 + 2 + 2 ordered pairs in both, 12 + 2 + 2 and 2 + 2 + 12 in one.
    assert adapted_rand_error(overlaps) == pytest.approx(1 - 2 * 8 / (16 + 16))


@few
@given(few_ids, st.booleans())
def test_scores_of_voxels_are_those_of_scikit_image(pair, with_background):
    truth, segmentation = pair
    overlaps = Overlaps.of(truth, segmentation)
    ignored = () if with_background else (0,)
    if not with_background:
        overlaps = overlaps.where(overlaps.first != 0)
    split, merge = conditional_entropies(overlaps)
    if overlaps.total == 0:
        assert isnan(split)
        assert isnan(merge)
        assert isnan(adapted_rand_error(overlaps))
        return
    # There the order is: of the truth given the test, then of the test given the truth.
    expected = variation_of_information(truth, segmentation, ignore_labels=ignored)
    assert (split, merge) == pytest.approx(tuple(expected), abs=1e-12)
    most = log2(overlaps.total)
    assert 0 <= split <= most + 1e-12
    assert 0 <= merge <= most + 1e-12
    assert 0 <= adapted_rand_error(overlaps) <= 1
    with np.errstate(invalid="ignore", divide="ignore"):
        error = rand_error_of_skimage(truth, segmentation, ignore_labels=ignored)[0]
    # Without two voxels of one id anywhere there is nothing to get wrong.
    assert adapted_rand_error(overlaps) == pytest.approx(0 if isnan(error) else error, abs=1e-12)


@few
@given(few_ids, st.booleans())
def test_matches_against_every_pair_of_objects(pair, with_background):
    first, second = pair
    ids = [set(np.unique(labels)) - (set() if with_background else {0}) for labels in pair]
    ious = [
        ((first == one) & (second == other)).sum() / ((first == one) | (second == other)).sum()
        for one in ids[0]
        for other in ids[1]
    ]
    found = match(Overlaps.of(first, second), with_background)
    assert (found.first, found.second) == (len(ids[0]), len(ids[1]))
    assert found.matched == sum(iou > 0.5 for iou in ious)
    assert found.similarity == pytest.approx(sum(iou for iou in ious if iou > 0.5))


def test_half_of_the_union_is_no_match():
    assert match(Overlaps.of(np.array([[1, 1]]), np.array([[1, 0]]))).matched == 0
    assert match(Overlaps.of(np.array([[1, 1, 1]]), np.array([[1, 1, 0]]))).matched == 1


def test_nothing_gives_an_empty_table():
    overlaps = Overlaps.of(np.zeros((0, 3), int), np.zeros((0, 3), int))
    assert overlaps.total == 0
    assert match(overlaps).first == 0
    unknown = Overlaps.of(np.ones((2, 3), int), np.ones((2, 3), int), np.zeros((2, 3)))
    assert table_of(unknown) == {}
