import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from napari_dacapo_tasks.numerics import holes
from napari_dacapo_tasks.numerics.holes import fill_holes

SHAPES = arrays.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=8)


def filled(labels, max_size):
    made = labels.copy()
    list(fill_holes(made, max_size))
    return made


def one_by_one(labels, max_size):
    """Look at each region of background, with SciPy."""
    made = labels.copy()
    regions, number = ndimage.label(labels == 0)
    edge = np.zeros(labels.shape, bool)
    for axis, length in enumerate(labels.shape):
        if length > 1:
            np.moveaxis(edge, axis, 0)[[0, -1]] = True
    for one in range(1, number + 1):
        inside = regions == one
        around = np.unique(labels[ndimage.binary_dilation(inside) & ~inside])
        if inside.sum() <= max_size and not (inside & edge).any() and len(around) == 1:
            made[inside] = around[0]
    return made


def test_by_hand():
    labels = np.array(
        [
            [1, 1, 1, 0, 2, 2, 2],
            [1, 0, 1, 2, 2, 0, 2],
            [1, 1, 1, 0, 2, 0, 2],
            [0, 0, 1, 0, 2, 2, 2],
            [0, 3, 1, 1, 2, 2, 2],
        ],
        np.uint32,
    )
    made = filled(labels, 1)
    assert made[1, 1] == 1, "enclosed"
    assert (made[1:3, 5] == 0).all(), "too large"
    assert (made[2:4, 3] == 0).all(), "between two objects"
    assert (filled(labels, 2)[1:3, 5] == 2).all()
    assert (filled(labels, 99)[3:, 0] == 0).all(), "at the border"
    np.testing.assert_array_equal(filled(labels, 0), labels)


def test_what_holds_another_object_is_no_hole():
    labels = np.ones((5, 5), np.uint32)
    labels[1:4, 1:4] = 0
    labels[2, 2] = 2
    np.testing.assert_array_equal(filled(labels, 99), labels)


def test_an_axis_of_one_voxel_has_no_border():
    labels = np.ones((1, 3, 3), np.uint8)
    labels[0, 1, 1] = 0
    assert filled(labels, 1).all()
    thick = np.repeat(labels, 2, axis=0)
    np.testing.assert_array_equal(filled(thick, 9), thick)


@settings(max_examples=120, deadline=None)
@given(
    arrays.arrays(np.uint32, SHAPES, elements=st.sampled_from([0, 1, 1, 1, 2])),
    st.integers(0, 6),
    st.booleans(),
    st.sampled_from([1, 20, 1 << 20]),
)
def test_as_looking_at_one_after_the_other(labels, max_size, small, block):
    labels = labels.astype(np.uint8) if small else labels
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holes, "_BLOCK_VOXELS", block)
        patch.setattr(holes, "_STEP_VOXELS", block)
        made = filled(labels, max_size)
    np.testing.assert_array_equal(made, one_by_one(labels, max_size))
    assert made.dtype == labels.dtype


def test_progress_grows(monkeypatch):
    monkeypatch.setattr(holes, "_STEP_VOXELS", 50)
    shares = list(fill_holes(np.zeros((20, 5, 5), np.uint32), 5))
    assert shares == sorted(shares)
    assert len(shares) > 10
    assert 0 <= shares[0] < shares[-1] < 1
