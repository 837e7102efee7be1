import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.balance import balance_weights
from napari_dacapo_tasks.numerics.distances import distance_mask


def test_golden_weights(golden):
    parameters, golden_arrays = golden("balance_weights")
    classes = parameters["num_classes"]
    labels, mask = golden_arrays["labels"], golden_arrays["mask"]
    weights, counts = balance_weights(labels, classes, [mask])
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, golden_arrays["weight"], rtol=1e-6)
    weights, _ = balance_weights((labels + 1) % 3, classes, [mask], counts)
    second = golden_arrays["weight_second_call_labels_plus_one_mod_3"]
    np.testing.assert_allclose(weights, second, rtol=1e-6)


@pytest.mark.parametrize("dims", ["iso3d", "aniso3d", "2d", "aniso2d"])
def test_golden_weights_of_the_distance_task(golden, dims):
    parameters, golden_arrays = golden(f"distance_{dims}_mask1")
    half = [size / 2 for size in parameters["voxel_size"]]
    mask = golden_arrays["mask"]
    kept = distance_mask(golden_arrays["target"], mask, half, parameters["scale_factor"])
    weights, counts = balance_weights(golden_arrays["gt"], 2, [mask, kept])
    np.testing.assert_allclose(weights, golden_arrays["weight"], rtol=1e-6)
    weights, _ = balance_weights(golden_arrays["gt"], 2, [mask, kept], counts)
    np.testing.assert_allclose(weights, golden_arrays["weight_second_call"], rtol=1e-6)


def test_the_formula_on_four_voxels():
    labels = np.array([[0, 0, 0, 1]])
    weights, counts = balance_weights(labels, 2, [np.array([1, 1, 0, 1])])
    # 3 of 4 are known, and the denominator starts at 1: f = 2/4 and 1/4.
    np.testing.assert_allclose(weights, [[1, 1, 0, 2]])
    assert counts == [{0: (2, 4), 1: (1, 4)}]


def test_clipping_bounds_the_weights():
    labels = np.zeros((1, 1000), np.uint8)
    labels[0, 0] = 1
    weights, _ = balance_weights(labels, 2, [], clipmin=0.1, clipmax=0.8)
    np.testing.assert_allclose(weights[0, :2], [5, 0.625])


def test_masks_may_be_weights_of_any_type_and_shared_by_all_channels():
    labels = np.array([[[0, 1], [1, 1]], [[0, 0], [0, 1]]])
    shared = np.array([[1, 1], [0, 1]])
    own = np.full((2, 2, 2), 0.5)
    weights, counts = balance_weights(labels, 2, [shared > 0, own])
    assert counts == [{0: (1, 2.5), 1: (2, 2.5)}, {0: (2, 2.5), 1: (1, 2.5)}]
    expected = 0.5 / (2 * np.array([[[0.4, 0.8], [1, 0.8]], [[0.8, 0.8], [1, 0.4]]]))
    np.testing.assert_allclose(weights, expected * shared, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, (2, 5, 7), elements=st.integers(0, 2)), st.integers(1, 4))
def test_counting_in_parts_counts_the_whole(labels, at):
    mask = np.ones((5, 7), np.uint8)
    mask[2, 3] = 0
    whole, counts = balance_weights(labels, 3, [mask])
    _, first = balance_weights(labels[:, :at], 3, [mask[:at]])
    second_weights, both = balance_weights(labels[:, at:], 3, [mask[at:]], first)
    assert both == counts
    np.testing.assert_array_equal(second_weights, whole[:, at:])


def test_counts_passed_in_are_not_changed():
    labels = np.array([[0, 1, 1]])
    before = [{0: (5, 10), 1: (4, 10)}]
    _, after = balance_weights(labels, 2, [], before)
    assert before == [{0: (5, 10), 1: (4, 10)}]
    assert after == [{0: (6, 13), 1: (6, 13)}]


def test_an_empty_mask_gives_no_weight_and_no_counts():
    weights, counts = balance_weights(np.ones((1, 3, 3), int), 2, [np.zeros((3, 3), bool)])
    assert (weights == 0).all()
    assert counts == [{0: (0, 1), 1: (0, 1)}]


@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"])
def test_integer_types_and_blocks(dtype):
    labels = np.random.default_rng(0).integers(0, 2, (2, 600, 700))
    mask = np.random.default_rng(1).integers(0, 2, (600, 700))
    weights, counts = balance_weights(labels.astype(dtype), 2, [mask.astype(dtype)])
    for channel in range(2):
        known = labels[channel][mask != 0]
        for class_id in range(2):
            number = int((known == class_id).sum())
            assert counts[channel][class_id] == (number, known.size + 1)
            chosen = weights[channel][(mask != 0) & (labels[channel] == class_id)]
            np.testing.assert_allclose(chosen, (known.size + 1) / (2 * number), rtol=1e-6)
    assert (weights[:, mask == 0] == 0).all()


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (np.array([[0, 1, 7, 3]]), "3, 7, which is none of the classes 0 to 1"),
        (np.array([[0, -2]]), "-2"),
        (np.array([[2**64 - 1]], np.uint64), "18446744073709551615"),
        (np.arange(100)[None], r"2, 3, 4, 5, 6, \.\.\."),
    ],
)
def test_labels_that_are_no_class_are_named(labels, named):
    with pytest.raises(DataError, match=named):
        balance_weights(labels, 2, [])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((np.zeros((1, 3)), 2, []), "float64"),
        ((np.zeros((1, 3), int), 2, [np.ones(4)]), r"\(4,\) does not fit"),
        ((np.zeros((1, 3), int), 2, [], [{0: (0, 1), 1: (0, 1)}] * 2), "1 channels of 2 classes"),
        ((np.zeros((1, 3), int), 2, [], [{0: (0, 1)}]), "1 channels of 2 classes"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(DataError, match=sentence):
        balance_weights(*arguments)
