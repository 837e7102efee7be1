"""Values between voxels are those of scipy's linear interpolation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from napari_dacapo_tasks.numerics.resampling import interpolated


@pytest.mark.parametrize("shape", [(7, 9, 11), (1, 5, 6), (8, 10)])
def test_equals_scipy_and_ends_at_the_border(shape):
    random = np.random.default_rng(0)
    values = random.random((2, *shape), np.float32)
    wanted = (4, 5, 6)[-len(shape) :]
    low_high = [(-1.5, n + 0.5) for n in shape]
    places = np.stack([random.uniform(*ends, wanted) for ends in low_high]).astype(np.float32)
    expected = np.stack([map_coordinates(one, places, order=1, mode="nearest") for one in values])
    np.testing.assert_allclose(interpolated(values, places), expected, atol=1e-5)


def test_whole_places_give_the_values_themselves():
    values = np.random.default_rng(1).random((1, 4, 5, 6), np.float32)
    values.flags.writeable = False
    places = np.indices((4, 5, 6)).astype(np.float32)
    np.testing.assert_array_equal(interpolated(values, places), values)
    turned = places.transpose(0, 3, 2, 1)
    np.testing.assert_array_equal(interpolated(values, turned), values.transpose(0, 3, 2, 1))
