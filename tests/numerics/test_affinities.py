import json
import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.affinities import affinities, affinity_weights
from napari_dacapo_tasks.numerics.balance import balance_weights

GOLDEN = [
    f"affinities_{kind}"
    for dims in ("iso3d", "aniso3d", "2d", "aniso2d")
    for kind in (f"{dims}_bg0", f"{dims}_bg1", f"lsds_{dims}_3")
]
KINDS = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"]


def by_definition(labels, neighborhood, background_as_object=False):
    """One pair at a time."""
    made = np.zeros((len(neighborhood), *labels.shape), np.uint8)
    for channel, offset in enumerate(neighborhood):
        for place in np.ndindex(labels.shape):
            partner = tuple(p + o for p, o in zip(place, offset, strict=True))
            if all(0 <= p < n for p, n in zip(partner, labels.shape, strict=True)):
                own, other = labels[place], labels[partner]
                joined = own == other and (background_as_object or own > 0)
                made[(channel, *place)] = joined
    return made


def known_pairs(known, neighborhood):
    return by_definition(known != 0, neighborhood)


@st.composite
def volumes(draw, dims=(2, 3), values=3):
    """Labels, and offsets that are not larger."""
    number = draw(st.sampled_from(dims))
    shape = draw(st.tuples(*[st.integers(2, 6)] * number))
    labels = draw(arrays(np.uint8, shape, elements=st.integers(0, values - 1)))
    steps = st.tuples(*[st.integers(1 - length, length - 1) for length in shape])
    neighborhood = draw(st.lists(steps.filter(any), min_size=1, max_size=4, unique=True))
    return labels, neighborhood


# The target


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_targets(golden, name):
    parameters, golden_arrays = golden(name)
    neighborhood = parameters["neighborhood"]
    made = affinities(
        golden_arrays["gt"],
        neighborhood,
        background_as_object=parameters.get("background_as_object", False),
    )
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, golden_arrays["target"][: len(neighborhood)])


def test_a_row_by_hand():
    labels = np.array([[1, 1, 2, 0, 0, 3]])
    made = affinities(labels, [(0, 1), (0, -1), (0, 2)])
    np.testing.assert_array_equal(made[0], [[1, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(made[1], [[0, 1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(made[2], [[0, 0, 0, 0, 0, 0]])
    made = affinities(labels, [(0, 1)], background_as_object=True)
    np.testing.assert_array_equal(made[0], [[1, 0, 0, 1, 0, 0]])


@settings(max_examples=80, deadline=None)
@given(volumes(), st.booleans())
def test_any_small_volume_against_the_definition(volume, background):
    labels, neighborhood = volume
    made = affinities(labels, neighborhood, background_as_object=background)
    np.testing.assert_array_equal(made, by_definition(labels, neighborhood, background))


@settings(max_examples=40, deadline=None)
@given(volumes())
def test_an_offset_and_its_opposite_agree_shifted(volume):
    labels, neighborhood = volume
    for offset in neighborhood:
        there, back = affinities(labels, [offset, tuple(-step for step in offset)])
        # What v says of v + o is what v + o says of v; outside both are 0, so rolling does.
        moved = np.roll(back, [-step for step in offset], range(labels.ndim))
        np.testing.assert_array_equal(there, moved)


@settings(max_examples=40, deadline=None)
@given(volumes(), st.data())
def test_mirrors_and_exchanged_axes_commute(volume, data):
    labels, neighborhood = volume
    made = affinities(labels, neighborhood)
    axis = data.draw(st.integers(0, labels.ndim - 1))
    mirrored = [tuple(-s if a == axis else s for a, s in enumerate(o)) for o in neighborhood]
    np.testing.assert_array_equal(
        affinities(np.flip(labels, axis), mirrored), np.flip(made, axis + 1)
    )
    order = data.draw(st.sampled_from(list(permutations(range(labels.ndim)))))
    turned = [tuple(offset[a] for a in order) for offset in neighborhood]
    np.testing.assert_array_equal(
        affinities(labels.transpose(order), turned),
        made.transpose(0, *(a + 1 for a in order)),
    )


@settings(max_examples=40, deadline=None)
@given(volumes(), st.permutations([3, 200, 2**15 + 1, 2**31 + 5, 2**63 + 2, 2**64 - 1]))
def test_ids_may_be_exchanged(volume, ids):
    labels, neighborhood = volume
    other = np.array([0, *ids], np.uint64)[labels]
    np.testing.assert_array_equal(affinities(other, neighborhood), affinities(labels, neighborhood))


@settings(max_examples=40, deadline=None)
@given(volumes(dims=(2,)))
def test_an_image_is_a_volume_of_one_slice(volume):
    labels, neighborhood = volume
    flat = affinities(labels, neighborhood)
    deep = affinities(labels[np.newaxis], [(0, *offset) for offset in neighborhood])
    np.testing.assert_array_equal(deep[:, 0], flat)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("background", [False, True])
def test_integer_types_and_blocks(kind, background):
    labels = np.random.default_rng(0).integers(0, 2, (9, 150, 170))
    neighborhood = [(1, 0, 0), (0, -3, 0), (-2, 1, 60)]
    made = affinities(labels.astype(kind), neighborhood, background_as_object=background)
    for channel, (dz, dy, dx) in zip(made, neighborhood, strict=True):
        around = np.pad(labels, [(2, 2), (3, 3), (60, 60)], constant_values=-1)
        shifted = around[2 + dz : 11 + dz, 3 + dy : 153 + dy, 60 + dx : 230 + dx]
        joined = (labels == shifted) & (background | (labels > 0))
        np.testing.assert_array_equal(channel, joined)


def test_the_largest_ids_do_not_wrap():
    # One more than the largest id is 0: DaCapo's background.
    for kind in (np.uint8, np.uint16, np.uint64):
        labels = np.array([[np.iinfo(kind).max] * 2 + [0, 0]], kind)
        for background in (False, True):
            made = affinities(labels, [(0, 1)], background_as_object=background)
            np.testing.assert_array_equal(made[0], [[1, 0, background, 0]])
    # Neighbouring ids that are the same as float64.
    labels = np.array([[2**64 - 1, 2**64 - 2, 2**53, 2**53 + 1]], np.uint64)
    assert not affinities(labels, [(0, 1)]).any()


def test_arrays_of_any_layout_and_byte_order():
    labels = np.random.default_rng(0).integers(0, 3, (8, 9, 10)).astype(np.int32)
    neighborhood = [(1, 0, 0), (0, 2, -1)]
    expected = affinities(labels, neighborhood)
    for same in (np.asfortranarray(labels), labels[::-1].copy()[::-1], labels.astype(">i4")):
        np.testing.assert_array_equal(affinities(same, neighborhood), expected)


def test_an_array_to_write_into_may_be_float32():
    labels = np.random.default_rng(0).integers(0, 3, (8, 9, 10)).astype(np.uint16)
    values = np.full((5, 8, 9, 10), np.nan, np.float32)
    made = affinities(labels, [(1, 0, 0), (0, 0, 2)], out=values[:2])
    assert np.shares_memory(made, values)
    np.testing.assert_array_equal(values[:2], affinities(labels, [(1, 0, 0), (0, 0, 2)]))
    assert np.isnan(values[2:]).all()


# The weight


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_weights_come_out_where_the_outside_is_called_known(golden, name):
    # DaCapo counts and weighs voxels whose partner lies outside of the volume as separate pairs.
    parameters, golden_arrays = golden(name)
    neighborhood = parameters["neighborhood"]
    target = golden_arrays["target"][: len(neighborhood)]
    known = np.ones([length + 6 for length in target.shape[1:]], np.uint8)
    begin = (3,) * known.ndim
    weights, _ = affinity_weights(target, known, neighborhood, begin)
    np.testing.assert_allclose(weights, golden_arrays["weight"][: len(neighborhood)], rtol=1e-6)


@pytest.mark.parametrize("name", GOLDEN)
def test_where_a_partner_is_known_only_the_balance_differs_from_dacapo(golden, name):
    parameters, golden_arrays = golden(name)
    neighborhood = parameters["neighborhood"]
    target = golden_arrays["target"][: len(neighborhood)]
    known = np.ones(target.shape[1:], np.uint8)
    weights, _ = affinity_weights(target, known, neighborhood)
    inside = known_pairs(known, neighborhood) != 0
    assert (weights[~inside] == 0).all()
    for channel in range(len(neighborhood)):
        for joined in (0, 1):
            chosen = inside[channel] & (target[channel] == joined)
            ours = np.unique(weights[channel][chosen])
            theirs = np.unique(golden_arrays["weight"][channel][chosen])
            assert len(ours) == len(theirs) == 1
            # Fewer separate pairs count, so those left count more, and joined ones less.
            assert ours <= theirs if joined else ours >= theirs


def test_a_row_of_weights_by_hand():
    # Pairs to the right: 1-1 joined, 1-2 apart, 2-2 joined, 2-2 unknown, and one without a partner.
    target = affinities(np.array([[1, 1, 2, 2, 2]]), [(0, 1)])
    known = np.array([[1, 1, 1, 1, 0]], np.uint8)
    weights, counts = affinity_weights(target, known, [(0, 1)])
    # 2 of 3 are joined; the denominator starts at 1: f = 2/4 and 1/4. DaCapo: den = 4 + 1, with
    # the 4th voxel joined and the 5th (masked out) gone: f = 3/5 and 1/5.
    np.testing.assert_allclose(weights, [[[1, 2, 1, 0, 0]]])
    assert counts == [{0: (1, 4), 1: (2, 4)}]


@settings(max_examples=60, deadline=None)
@given(volumes(), st.data())
def test_weights_are_those_of_the_balance_with_a_mask_for_each_channel(volume, data):
    labels, neighborhood = volume
    known = data.draw(arrays(np.uint8, labels.shape, elements=st.sampled_from([0, 1, 1, 7])))
    target = affinities(labels, neighborhood)
    weights, counts = affinity_weights(target, known, neighborhood)
    expected, expected_counts = balance_weights(target, 2, [known_pairs(known, neighborhood)])
    np.testing.assert_array_equal(weights, expected)
    assert counts == expected_counts


@settings(max_examples=40, deadline=None)
@given(volumes())
def test_both_classes_weigh_the_same(volume):
    labels, neighborhood = volume
    target = affinities(labels, neighborhood)
    weights, counts = affinity_weights(
        target, np.ones_like(labels), neighborhood, clipmin=1e-6, clipmax=1
    )
    for channel, weight, of_class in zip(target, weights, counts, strict=True):
        if all(number > 0 for number, _ in of_class.values()):
            apart, joined = weight[channel == 0].sum(), weight[channel == 1].sum()
            np.testing.assert_allclose(apart, joined, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(volumes(), st.data())
def test_a_crop_with_context_is_the_crop_of_the_whole(volume, data):
    labels, neighborhood = volume
    reach = np.abs(neighborhood).max(axis=0)
    whole = np.pad(labels, [(n, n) for n in reach], mode="wrap")
    known = data.draw(arrays(np.uint8, whole.shape, elements=st.sampled_from([0, 1, 1])))
    target = affinities(whole, neighborhood)
    begin = [data.draw(st.integers(r, r + n - 1)) for r, n in zip(reach, labels.shape, strict=True)]
    ends = [r + n for r, n in zip(reach, labels.shape, strict=True)]
    crop = tuple(slice(b, e) for b, e in zip(begin, ends, strict=True))
    around = tuple(slice(b - r, e + r) for b, e, r in zip(begin, ends, reach, strict=True))

    made = affinities(whole[around], neighborhood)
    middle = tuple(slice(r, r + e - b) for b, e, r in zip(begin, ends, reach, strict=True))
    np.testing.assert_array_equal(made[:, *middle], target[:, *crop])

    _, counts = affinity_weights(target, known, neighborhood)
    # No balance left that the rest of the whole could change: its counts outweigh a crop's.
    before = [{c: (num * 10**12, den * 10**12) for c, (num, den) in of.items()} for of in counts]
    expected, _ = affinity_weights(target, known, neighborhood, None, before)
    weights, _ = affinity_weights(
        target[:, *crop], known[around], neighborhood, [int(r) for r in reach], before
    )
    np.testing.assert_allclose(weights, expected[:, *crop], rtol=1e-6)


def test_counting_on_changes_no_counts_and_sums_them():
    target = affinities(np.array([[1, 1, 2, 2, 2]]), [(0, 1)])
    known = np.ones((1, 5), np.uint8)
    _, first = affinity_weights(target, known, [(0, 1)])
    said = json.dumps(first)
    weights, second = affinity_weights(target, known, [(0, 1)], None, first)
    assert json.dumps(first) == said
    assert second == [{0: (2, 9), 1: (6, 9)}]
    np.testing.assert_allclose(weights, [[[0.75, 2.25, 0.75, 0.75, 0]]], rtol=1e-6)


def test_clipping_bounds_the_weights():
    target = affinities(np.ones((1, 100), int), [(0, 1)])
    weights, _ = affinity_weights(target, np.ones((1, 100)), [(0, 1)], clipmin=0.1, clipmax=0.8)
    np.testing.assert_allclose(weights[0, 0, :99], 0.625)


@pytest.mark.parametrize("kind", ["?", "u1", "i8", "f4"])
def test_any_mask_and_target_type_and_layout(kind):
    rng = np.random.default_rng(1)
    labels, mask = rng.integers(0, 3, (20, 30, 300)), rng.integers(0, 2, (20, 30, 300))
    neighborhood = [(1, 0, 0), (0, -3, 0), (-2, 1, 60)]
    target = affinities(labels, neighborhood)
    # Pairs of which both ends are 1 are known, and `affinities` finds just these.
    expected, counts = balance_weights(target, 2, [affinities(mask, neighborhood)])
    for made in (target, target.astype(np.float32), np.asfortranarray(target)):
        weights, counted = affinity_weights(made, (mask * 100).astype(kind), neighborhood)
        np.testing.assert_array_equal(weights, expected)
        assert counted == counts


@pytest.mark.parametrize("labels", [np.zeros((3, 4, 5), int), np.ones((3, 4, 5), int)])
def test_no_object_and_one_object(labels):
    target = affinities(labels, [(1, 0, 0)])
    weights, _ = affinity_weights(target, np.ones((3, 4, 5)), [(1, 0, 0)])
    assert target.any() == labels.any()
    # 40 pairs of one class: 40 / 41 is clipped to 0.95.
    np.testing.assert_allclose(weights[0, :2], 1 / (2 * 0.95), rtol=1e-6)
    assert (weights[0, 2] == 0).all()


def test_a_mask_of_zeros_gives_no_weight_and_no_counts():
    target = affinities(np.ones((3, 4), int), [(1, 0)])
    weights, counts = affinity_weights(target, np.zeros((3, 4)), [(1, 0)])
    assert (weights == 0).all()
    assert counts == [{0: (0, 1), 1: (0, 1)}]


# What is refused


@pytest.mark.parametrize(
    ("labels", "neighborhood", "sentence"),
    [
        (np.zeros((3, 4)), [(0, 1)], "float64, but affinities need whole numbers"),
        (np.zeros((1, 1, 3, 4), int), [(0, 1)], "4 dimensions"),
        (np.zeros((2, 3, 4), int), [(0, 1)], r"\(0, 1\) has 2 axes.*\(2, 3, 4\) have 3"),
        (np.zeros((3, 4), int), [(0, 0, 1)], r"\(0, 0, 1\) has 3 axes.*\(3, 4\) have 2"),
        (np.zeros((3, 4), int), [(0, 1), (0, -4)], r"\(0, -4\) reaches beyond .*\(3, 4\)"),
        (np.zeros((1, 3, 4), int), [(1, 0, 0)], r"\(1, 0, 0\) reaches beyond .*\(1, 3, 4\)"),
        (np.array([[0, -3]]), [(0, 1)], "negative id -3"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(labels, neighborhood, sentence):
    with pytest.raises(DataError, match=sentence):
        affinities(labels, neighborhood)


@pytest.mark.parametrize("counts", [[{0: (0, 1), 1: (0, 1)}] * 2, [{0: (0, 1)}]])
def test_counts_of_other_offsets_are_refused(counts):
    with pytest.raises(DataError, match="1 channels of 2 classes"):
        affinity_weights(np.zeros((1, 3, 4)), np.ones((3, 4)), [(0, 1)], None, counts)


def test_numba_is_imported_when_it_is_needed():
    code = (
        "import sys; from napari_dacapo_tasks.numerics import affinities\n"
        "assert 'numba' not in sys.modules\n"
        "affinities.warm_up()\n"
        "assert 'napari_dacapo_tasks.numerics.affinity_loops' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
