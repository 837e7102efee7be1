import subprocess
import sys
from dataclasses import FrozenInstanceError
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.samples import ORGANELLES, Sample, cells_2d, cells_3d

MITO = ORGANELLES["mitochondrion"]
LAYERS = ("raw", "organelles", "cells")


# A sample is frozen and drawing takes a second, so the tests share them.
draw_2d, draw_3d = cache(cells_2d), cache(cells_3d)


@pytest.fixture(scope="module", params=["3d", "2d", "odd", "anisotropic"])
def sample(request) -> Sample:
    return {
        "3d": lambda: draw_3d(seed=0),
        "2d": lambda: draw_2d(seed=0),
        "odd": lambda: draw_3d((61, 90, 77), seed=1),
        "anisotropic": lambda: draw_3d((40, 128, 96), (16, 8, 8), seed=2),
    }[request.param]()


def test_arrays_share_a_shape_and_have_their_types(sample):
    assert [getattr(sample, layer).dtype for layer in LAYERS] == [np.uint8, np.uint8, np.uint16]
    assert {getattr(sample, layer).shape for layer in LAYERS} == {sample.raw.shape}
    assert len(sample.voxel_size) == sample.raw.ndim
    assert sample.unit == "nanometer"


def test_defaults():
    section = cells_2d()
    assert section.raw.shape == (512, 512)
    assert section.voxel_size == (8, 8)
    volume = cells_3d((32, 64, 48))
    assert volume.raw.shape == (32, 64, 48)
    assert volume.voxel_size == (8, 8, 8)


def test_every_organelle_id_is_named_and_occurs(sample):
    assert set(np.unique(sample.organelles)) == {0, *ORGANELLES.values()}


def test_cells_are_numbered_without_a_gap_and_connected(sample):
    ids = np.unique(sample.cells)
    np.testing.assert_array_equal(ids, np.arange(len(ids)))
    for cell, box in enumerate(ndimage.find_objects(sample.cells), start=1):
        assert ndimage.label(sample.cells[box] == cell)[1] == 1


def test_a_membrane_parts_all_cells(sample):
    for axis in range(sample.cells.ndim):
        low = np.delete(sample.cells, -1, axis)
        high = np.delete(sample.cells, 0, axis)
        assert not ((low != high) & (low > 0) & (high > 0)).any()


@pytest.mark.parametrize("organelle", ORGANELLES)
def test_every_organelle_lies_in_one_cell(sample, organelle):
    parts, count = ndimage.label(sample.organelles == ORGANELLES[organelle])
    least = ndimage.minimum(sample.cells, parts, np.arange(1, count + 1))
    most = ndimage.maximum(sample.cells, parts, np.arange(1, count + 1))
    assert min(least) > 0
    np.testing.assert_array_equal(least, most)


@pytest.mark.parametrize(
    ("draw", "seed"), [(draw_3d, 0), (draw_3d, 3), *((draw_2d, seed) for seed in range(4))]
)
def test_mitochondria_fill_about_a_tenth_and_every_half_has_several(draw, seed):
    mito = draw(seed=seed).organelles == MITO
    assert 0.08 < mito.mean() < 0.12
    parts, _ = ndimage.label(mito)
    whole = 1000 if mito.ndim == 3 else 300  # voxels: more than a grazed end
    for axis in range(mito.ndim):
        for half in np.array_split(parts, 2, axis):
            assert (half > 0).mean() > 0.04
            assert (np.bincount(half.ravel())[1:] > whole).sum() >= 3


def test_a_mitochondrion_is_as_wide_as_in_tissue():
    # Twice the greatest distance to the surface is the diameter; a cut end looks thinner.
    half = draw_3d(seed=0).organelles[:64]
    parts, count = ndimage.label(half == MITO)
    depth = ndimage.distance_transform_edt(parts, 8)
    widths = 2 * ndimage.maximum(depth, parts, np.arange(1, count + 1))
    assert widths.max() < 350
    assert np.median(widths) > 190


def test_what_is_dark_in_a_micrograph_is_dark(sample):
    cytoplasm = sample.raw[(sample.cells > 0) & (sample.organelles == 0)].mean()
    assert sample.raw[sample.organelles == MITO].mean() < cytoplasm - 40
    assert sample.raw[sample.cells == 0].mean() < cytoplasm - 40
    assert sample.raw.min() > 0
    assert sample.raw.max() < 255


def test_smoothed_grey_alone_finds_most_of_the_mitochondria():
    # What a small network must be able to learn in a minute.
    volume = draw_3d(seed=0)
    found = ndimage.gaussian_filter(volume.raw.astype(float), 3) < 105
    found = ndimage.binary_opening(found, iterations=4)
    mito = volume.organelles == MITO
    assert 2 * (found & mito).sum() / (found.sum() + mito.sum()) > 0.75


@pytest.mark.parametrize(("draw", "shape"), [(cells_3d, (40, 56, 48)), (cells_2d, (200, 300))])
def test_one_seed_gives_one_sample_and_another_seed_another(draw, shape):
    first, again, other = draw(shape, seed=7), draw(shape, seed=7), draw(shape, seed=8)
    for layer in LAYERS:
        np.testing.assert_array_equal(getattr(first, layer), getattr(again, layer))
        assert (getattr(first, layer) != getattr(other, layer)).any()


@pytest.mark.parametrize("seed", range(5))
def test_the_smallest_shapes_can_be_drawn(seed):
    assert cells_3d((32, 32, 32), seed=seed).cells.max() >= 1
    assert cells_2d((32, 32), seed=seed).cells.max() >= 1


@pytest.mark.parametrize(
    ("draw", "shape", "voxel_size", "says"),
    [
        (cells_3d, (31, 64, 64), (8, 8, 8), r"shape \(31, 64, 64\).*32 voxels"),
        (cells_3d, (64, 64), (8, 8, 8), r"shape \(64, 64\).*3 numbers"),
        (cells_2d, (0, 64), (8, 8), r"shape \(0, 64\).*2 numbers"),
        (cells_2d, (64, 64), (8, 40), r"voxel size \(8, 40\).*2 and 16 nm"),
        (cells_2d, (64, 64), (8,), r"voxel size \(8,\).*2 numbers"),
        (cells_2d, (64, 64), (8, float("nan")), r"voxel size .*2 and 16 nm"),
        (cells_3d, (64, 64, 64), (2, 8, 8), "128 nm thin.*250 nm"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(draw, shape, voxel_size, says):
    with pytest.raises(DataError, match=says) as refusal:
        draw(shape, voxel_size)
    assert str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)


def test_a_sample_is_frozen():
    with pytest.raises(FrozenInstanceError):
        cells_2d((32, 32)).name = "other"


def test_importing_samples_stays_light():
    code = (
        "import sys, napari_dacapo_tasks.samples;"
        "print(*{'torch', 'napari', 'qtpy', 'skimage'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
