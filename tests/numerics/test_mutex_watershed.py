import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.numerics.attraction import attracted_regions
from napari_dacapo_tasks.numerics.mutex_watershed import memory_needed, mutex_watershed

NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
ANY_SIGN = [(-1, 0, 0), (0, -1, 0), (0, 0, 1), (0, -3, 2), (2, 1, -4)]


def affinities(ids, offsets):
    """Compare voxel by voxel."""
    made = np.zeros((len(offsets), *ids.shape), np.float32)
    for affinity, offset in zip(made, offsets, strict=True):
        for voxel in np.ndindex(ids.shape):
            partner = tuple(place + step for place, step in zip(voxel, offset, strict=True))
            if all(0 <= place < n for place, n in zip(partner, ids.shape, strict=True)):
                affinity[voxel] = ids[voxel] == ids[partner] and ids[voxel] > 0
    return made


def blocks(shape):
    """Give an id to each block of three voxels a side; the first one is background."""
    coarse = [-(-length // 3) for length in shape]
    ids = np.arange(np.prod(coarse)).reshape(coarse)
    return np.kron(ids, np.ones([3] * len(shape), int))[tuple(slice(n) for n in shape)]


def regions_of(*arguments):
    steps = attracted_regions(*arguments)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def same_regions(first, second):
    pairs = set(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@pytest.mark.parametrize("offsets", [NEAREST, ANY_SIGN])
@pytest.mark.parametrize("bias", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("ids", [blocks((5, 6, 7)), blocks((5, 6, 7)) + 1], ids=["first 0", "all"])
def test_perfect_affinities_give_the_ids(offsets, bias, ids):
    perfect = affinities(ids, offsets)
    labels = mutex_watershed(perfect, offsets, [bias] * len(offsets))
    assert same_regions(labels, ids)
    np.testing.assert_array_equal(labels > 0, ids > 0)
    assert labels.max() == len(np.unique(ids[ids > 0]))
    regions = regions_of(perfect, offsets, [bias] * len(offsets))
    assert same_regions(regions.labels, ids)
    assert not regions.disputed.any()


@pytest.mark.parametrize("worth", [0, 1, np.nan])
def test_what_is_said_of_partners_outside_does_not_count(worth):
    ids = blocks((6, 7))
    offsets = [(1, 0), (0, -1), (-2, 3)]
    spoilt = affinities(ids, offsets)
    spoilt[0, -1:] = spoilt[1, :, :1] = spoilt[2, :2] = spoilt[2, :, -3:] = worth
    assert same_regions(mutex_watershed(spoilt, offsets, [0.5] * 3), ids)
    regions = regions_of(spoilt, offsets, [0.5] * 3)
    assert same_regions(regions.labels, ids)
    assert not regions.disputed.any()


def test_an_offset_that_leads_out_everywhere_says_nothing():
    ids = blocks((4, 5))
    offsets = [(1, 0), (0, 1), (0, 5), (-9, 0)]
    spoilt = affinities(ids, offsets)
    spoilt[2:] = 1
    assert same_regions(mutex_watershed(spoilt, offsets, [0.5] * 4), ids)
    assert same_regions(regions_of(spoilt, offsets, [0.5] * 4).labels, ids)
    assert not mutex_watershed(spoilt[2:], offsets[2:], [0.5] * 2).any()
    assert regions_of(spoilt[2:], offsets[2:], [0.5] * 2).number == 0


def test_the_surest_pair_decides():
    # 1 - 2 - 3 attract their neighbours, but the first and the third repel each other.
    offsets, chain = [(0, 1), (0, 2)], np.zeros((2, 1, 3))
    chain[0, 0, :2] = 0.9, 0.8
    chain[1, 0, 0] = 0.05  # surer than 0.9
    assert mutex_watershed(chain, offsets, [0.5, 0.5]).tolist() == [[1, 1, 2]]
    chain[1, 0, 0] = 0.4  # less sure than both
    assert mutex_watershed(chain, offsets, [0.5, 0.5]).tolist() == [[1, 1, 1]]
    chain[1, 0, 0] = 0.4
    assert mutex_watershed(chain, offsets, [0.5, 0.75]).tolist() == [[1, 1, 2]]


def test_a_dispute_is_of_the_region_where_it_is():
    offsets, chains = [(0, 1), (0, 2)], np.zeros((2, 2, 4))
    chains[0, :, :2] = 1
    chains[1, 0, 0] = 1
    regions = regions_of(chains, offsets, [0.5, 0.5])
    assert regions.labels.tolist() == [[1, 1, 1, 0], [2, 2, 2, 0]]
    assert regions.disputed.tolist() == [False, False, True]


def test_nan_repels():
    row = np.full((1, 1, 4), 0.9)
    row[0, 0, 1] = np.nan
    assert mutex_watershed(row, [(0, 1)], [0.5]).tolist() == [[1, 1, 2, 2]]
    assert regions_of(row, [(0, 1)], [0.5]).labels.tolist() == [[1, 1, 2, 2]]


def test_a_bias_is_compared_as_exactly_as_mwatershed_does():
    tenth = np.full((1, 1, 2), 0.1, np.float32)  # a little more than the double 0.1
    assert mutex_watershed(tenth, [(0, 1)], [0.1]).tolist() == [[1, 1]]
    assert regions_of(tenth, [(0, 1)], [0.1]).labels.tolist() == [[1, 1]]


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(
        np.float64,
        (4, 4, 5),
        elements=st.floats(0, 1),
        fill=st.nothing(),
    ),
    st.sampled_from([0.2, 0.5, 0.8]),
)
def test_nothing_is_joined_that_no_chain_of_attraction_connects(made, bias):
    offsets = [(1, 0), (0, 1), (-2, 1), (0, 3)]
    regions = regions_of(made, offsets, [bias] * 4)
    labels = mutex_watershed(made, offsets, [bias] * 4)
    # The first voxel, where it stays alone though something attracts it, is 0 in mwatershed.
    np.testing.assert_array_equal(labels.ravel()[1:] > 0, regions.labels.ravel()[1:] > 0)
    for label in range(1, labels.max() + 1):
        assert len(np.unique(regions.labels[labels == label])) == 1
    for region in np.flatnonzero(~regions.disputed)[1:]:
        assert len(np.unique(labels[regions.labels == region])) == 1


def test_integers_and_parts_of_arrays():
    ids = blocks((5, 6, 7))
    perfect = affinities(ids, NEAREST).astype(np.uint8)
    wider = np.zeros((5, 5, 6, 9), np.uint8)
    wider[1:4, :, :, 1:8] = perfect
    part = wider[1:4, :, :, 1:8]
    assert same_regions(mutex_watershed(part, NEAREST, [0.5] * 3), ids)
    assert same_regions(regions_of(part, NEAREST, [0.5] * 3).labels, ids)


def test_without_mwatershed_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mwatershed", None)
    with pytest.raises(UserError, match="pip install mwatershed"):
        mutex_watershed(np.zeros((1, 2, 2)), [(1, 0)], [0.5])


def test_memory_grows_with_voxels_and_offsets():
    assert memory_needed(256**3, 12) == pytest.approx(16.5e9, rel=0.02)
    assert memory_needed(256**3, 3) == pytest.approx(4.4e9, rel=0.02)


def test_its_process_imports_little():
    code = (
        "import sys, napari_dacapo_tasks.numerics.apart, mwatershed\n"
        "import napari_dacapo_tasks.numerics.mutex_watershed\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numba", "scipy", "torch", "zarr", "dask", "funlib", "pydantic", "napari", "qtpy"}
    assert not heavy & set(done.stdout.split())
