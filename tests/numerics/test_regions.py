import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics import regions
from napari_dacapo_tasks.numerics.regions import regions_of

SHAPES = arrays.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9)


def found_in(mask, min_size=1):
    steps = regions_of(mask.shape, lambda planes: mask[planes], min_size)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def by_scipy(mask, min_size=1):
    labels, number = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=number + 1)
    kept = sizes >= min_size
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0)[labels], np.concatenate([[0], sizes[kept]])


@settings(max_examples=150, deadline=None)
@given(
    arrays.arrays(np.bool_, SHAPES),
    st.integers(1, 6),
    st.sampled_from([1, 10, 40, 1 << 21]),
)
def test_as_scipy_does_in_slabs_of_any_size(mask, min_size, slab):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regions, "_SLAB_VOXELS", slab)
        labels, sizes = found_in(mask, min_size)
    expected, expected_sizes = by_scipy(mask, min_size)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(sizes, expected_sizes)
    assert labels.dtype == np.uint32


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_many_labels_of_many_slabs(share, monkeypatch):
    # A chess board has the most labels that there can be: their table grows.
    monkeypatch.setattr(regions, "_SLAB_VOXELS", 1 << 15)
    mask = np.indices((40, 60, 64)).sum(axis=0) % 2 == 0
    mask[20:] = np.random.default_rng(0).random((20, 60, 64)) < share
    labels, sizes = found_in(mask)
    expected, expected_sizes = by_scipy(mask)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(sizes, expected_sizes)


def test_a_spiral_is_one_region_in_the_end():
    turns = np.zeros((9, 9), bool)
    turns[0], turns[:, -1], turns[-1] = True, True, True
    turns[2:, 0] = turns[2, :7] = turns[2:7, 6] = turns[6, 2:7] = True
    assert found_in(turns)[1].tolist() == [0, turns.sum()]
    assert found_in(turns[::-1])[1].tolist() == [0, turns.sum()]


def test_masks_in_any_layout_and_without_voxels():
    mask = np.asfortranarray(np.random.default_rng(0).random((5, 6, 7)) < 0.5)
    np.testing.assert_array_equal(found_in(mask)[0], by_scipy(mask)[0])
    labels, sizes = found_in(np.zeros((0, 3, 4), bool))
    assert (labels.shape, sizes.tolist()) == ((0, 3, 4), [0])


def test_progress_grows_and_leaving_ends_it(monkeypatch):
    monkeypatch.setattr(regions, "_SLAB_VOXELS", 100)
    mask = np.ones((40, 10, 10), bool)
    shares = list(regions_of(mask.shape, lambda planes: mask[planes]))
    assert shares == sorted(shares)
    assert len(shares) > 4
    assert 0 <= shares[0] < shares[-1] < 1
    asked = []
    steps = regions_of(mask.shape, lambda planes: asked.append(planes) or mask[planes])
    next(steps)
    next(steps)
    steps.close()
    assert 0 < len(asked) < 40


def test_more_regions_than_labels_are_refused(monkeypatch):
    monkeypatch.setattr(regions, "_MOST_LABELS", 3)
    with pytest.raises(DataError, match="There are 4 regions, too many to tell apart"):
        found_in(np.array([[1, 0, 1, 0], [0, 1, 0, 1]], bool))
