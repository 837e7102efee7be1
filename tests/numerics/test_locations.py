import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dacapo_tasks.numerics import locations
from napari_dacapo_tasks.numerics.locations import Locations, renumbered

few = settings(max_examples=60, deadline=None)
shapes = st.one_of(st.tuples(*[st.integers(1, 6)] * 3), st.tuples(*[st.integers(1, 10)] * 2))
far_apart = st.sampled_from([0, 1, 2, 2**32, 2**40, 2**63])
labelings = shapes.flatmap(
    lambda shape: st.tuples(
        arrays(np.uint64, shape, elements=far_apart),
        arrays(np.uint64, shape, elements=far_apart),
        arrays(np.uint8, shape, elements=st.integers(0, 1)),
    )
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Let also small volumes be several blocks."""
    monkeypatch.setattr(locations, "_BLOCK_VOXELS", 12)


def sets_of(labels):
    """Number the ids of the entries but 0."""
    different = np.unique(labels[labels > 0])
    return np.where(labels > 0, np.searchsorted(different, labels), -1), different


@given(labelings)
@few
def test_places_are_those_of_the_voxels(drawn):
    first, second, known = drawn
    located = Locations(first, second, known)
    sets, ids = sets_of(located.overlaps.first)
    places = located.places_of(sets, len(ids))
    size = (3.0, 2.0, 1.0)[-first.ndim :]
    nearest = located.nearest_voxels(sets, places.centres, size)
    assert nearest.shape == places.begins.shape == (len(ids), first.ndim)
    for number, one in enumerate(ids):
        voxels = np.argwhere((first == one) & (known != 0))
        centre = voxels.mean(axis=0)
        np.testing.assert_allclose(places.centres[number], centre)
        np.testing.assert_array_equal(places.begins[number], voxels.min(axis=0))
        np.testing.assert_array_equal(places.ends[number], voxels.max(axis=0) + 1)
        squares = (((voxels - centre) * size) ** 2).sum(axis=1)
        assert nearest[number].tolist() in voxels.tolist()
        found = (((nearest[number] - centre) * size) ** 2).sum()
        assert found == pytest.approx(squares.min())


@given(labelings)
@few
def test_a_picture_shows_the_code_of_each_pair(drawn):
    first, second, known = drawn
    located = Locations(first, second, known)
    table = located.overlaps
    codes = np.arange(1, len(table.voxels) + 1).astype(np.uint8)
    picture = located.painted(codes)
    assert picture.shape == first.shape
    assert not picture[known == 0].any()
    for one, other, code in zip(table.first, table.second, codes, strict=True):
        there = (first == one) & (second == other) & (known != 0)
        np.testing.assert_array_equal(picture == code, there)


@given(labelings)
@few
def test_renumbering_keeps_the_order_of_ids(drawn):
    ids = drawn[0]
    labels, names = renumbered(ids)
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(names[labels], ids)
    assert names.tolist() == sorted({0, *ids.ravel().tolist()})


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64])
def test_any_type_of_ids_is_renumbered(dtype):
    ids = np.array([[0, 1, 1], [1, 0, 0]]).astype(dtype)
    labels, names = renumbered(ids)
    np.testing.assert_array_equal(labels, ids)
    assert names.tolist() == [0, 1]


def test_nothing_is_known():
    ids = np.ones((3, 4), np.uint8)
    located = Locations(ids, ids, np.zeros_like(ids))
    none = np.zeros(0, np.intp)
    places = located.places_of(none, 0)
    assert len(places.centres) == len(located.overlaps.voxels) == 0
    assert located.nearest_voxels(none, places.centres, (1, 1)).shape == (0, 2)
    assert not located.painted(np.zeros(0, np.uint8)).any()
