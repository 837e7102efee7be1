"""Turning arrays, vectors and lengths, and turning them back."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from napari_dacapo_tasks.numerics.symmetries import Symmetry

ALL = [
    Symmetry(order, mirrored)
    for order in permutations(range(3))
    for mirrored in product((False, True), repeat=3)
]


@pytest.mark.parametrize("symmetry", ALL, ids=str)
def test_the_inverse_turns_back(symmetry):
    values = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    there = symmetry.apply(values)
    assert there.shape == (2, *symmetry.lengths((3, 4, 5)))
    np.testing.assert_array_equal(symmetry.inverse.apply(there), values)
    assert symmetry.inverse.lengths(symmetry.lengths("zyx")) == tuple("zyx")


@pytest.mark.parametrize("symmetry", ALL, ids=str)
def test_vectors_point_at_the_same_voxel(symmetry):
    values = np.arange(6**3).reshape(6, 6, 6)
    turned = symmetry.apply(values)
    steps = (1, -2, 3)
    begin = np.array(np.argwhere(turned == values[2, 3, 1])[0])
    assert turned[tuple(begin + symmetry.vector(steps))] == values[3, 1, 4]


def test_random_ones_are_all_that_may_be():
    random = np.random.default_rng(0)
    found = {Symmetry.random(random, [(8, 24)] * 3) for _ in range(2000)}
    assert found == set(ALL)


def test_only_axes_that_agree_are_exchanged():
    random = np.random.default_rng(0)
    found = {Symmetry.random(random, [(40, 8), (4, 24), (4, 24)]).order for _ in range(50)}
    assert found == {(0, 1, 2), (0, 2, 1)}


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
def test_what_is_switched_off_does_not_happen(mirror, transpose):
    drawn = []
    for one in range(40):
        random = np.random.default_rng(one)
        drawn.append(Symmetry.random(random, [(8,)] * 3, mirror=mirror, transpose=transpose))
        whole = Symmetry.random(np.random.default_rng(one), [(8,)] * 3)
        assert not mirror or drawn[-1].mirrored == whole.mirrored
        assert not transpose or drawn[-1].order == whole.order
    assert mirror == any(any(one.mirrored) for one in drawn)
    assert transpose == any(one.order != (0, 1, 2) for one in drawn)
