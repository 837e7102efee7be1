"""Raw and labels go where a deformation says, in world units, and ids stay as they are."""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np
import pytest
import torch
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.training.augmentation.bending import Bending
from napari_dacapo_tasks.training.augmentation.deformation import (
    Deformation,
    Places,
    Slip,
    deformed_labels,
    deformed_raw,
    interpolate,
    sampled,
)

IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
IDS = 2**53 + np.arange(1, 4, dtype=np.uint64)
"""Ids of which floats would make one."""


def placed(values, voxel_size=(8, 8, 8), begin=None, channels=False):
    size = Coordinate(voxel_size)
    shape = Coordinate(values.shape[1:] if channels else values.shape)
    roi = Roi(Coordinate(begin or (0,) * len(size)), shape * size)
    axes = ("z", "y", "x")[-len(size) :]
    return NumpyArray.from_np_array(values, roi, size, (("c", *axes) if channels else axes))


def image(shape, seed=0, **more):
    values = np.random.default_rng(seed).random((1, *shape), dtype=np.float32)
    return placed(values, channels=True, **more)


def in_plane(degrees):
    """A rotation about z."""
    c, s = cos(radians(degrees)), sin(radians(degrees))
    return ((1.0, 0.0, 0.0), (0.0, c, -s), (0.0, s, c))


def bent(size, spread=(16, 16, 16), spacing=200, seed=3, matrix=IDENTITY):
    return Deformation(matrix, Bending.over(size, spacing, spread, seed))


def inner(roi, voxels, size=8):
    """A region without some voxels at its faces."""
    margin = Coordinate((voxels * size,) * len(roi.shape))
    return roi.grow(margin * -1, margin * -1)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_identity_changes_nothing(dims):
    shape = (17, 20, 23)[:dims]
    raw = image(shape, voxel_size=(8,) * dims)
    labels = placed(np.random.default_rng(1).integers(0, 2**64, shape, np.uint64), (8,) * dims)
    matrix = tuple(tuple(float(a == b) for a in range(dims)) for b in range(dims))
    same = Deformation(matrix)
    assert same.source(raw.roi, raw.roi, raw.voxel_size) == raw.roi
    (found,) = deformed_labels(same, [labels], labels.roi, labels.roi)
    np.testing.assert_array_equal(found.data, labels.data)
    np.testing.assert_allclose(deformed_raw(same, raw, raw.roi, raw.roi).data, raw.data, atol=1e-5)


@pytest.mark.parametrize("shape", [(12, 30, 30), (12, 31, 31)])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_those_of_numpy(shape, quarters):
    raw = image(shape)
    labels = placed(np.random.default_rng(1).integers(0, 2**60, shape))
    turn = Deformation(in_plane(-90 * quarters))
    assert turn.source(raw.roi, raw.roi, raw.voxel_size) == raw.roi
    (found,) = deformed_labels(turn, [labels], labels.roi, labels.roi)
    expected = np.rot90(labels.data, quarters, (1, 2))
    assert (found.data == expected).all()
    found = deformed_raw(turn, raw, raw.roi, raw.roi)
    np.testing.assert_allclose(found.data, np.rot90(raw.data, quarters, (2, 3)), atol=1e-5)


def test_a_rotation_is_one_of_the_world_and_not_of_voxels():
    # A long bar along y, in voxels that are half as long along y as along x.
    size = Coordinate(8, 4, 8)
    values = np.zeros((3, 80, 40), np.uint8)
    values[:, 20:60, 19:21] = 1  # 160 nm by 16 nm
    bar = placed(values, size)
    (found,) = deformed_labels(Deformation(in_plane(90)), [bar], bar.roi, bar.roi)
    expected = np.zeros_like(values)
    expected[:, 38:42, 10:30] = 1
    np.testing.assert_array_equal(found.data, expected)


def test_any_angle_keeps_the_world_size_of_a_ball():
    size = Coordinate(8, 4, 2)
    z, y, x = (axis + 0.5 for axis in np.ogrid[-20:20, -40:40, -80:80])
    inside = ((z * 8) ** 2 + (y * 4) ** 2 + (x * 2) ** 2 < 100**2).astype(np.uint8)
    ball = placed(inside, size)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    matrix = tuple(map(tuple, turn.tolist()))
    roi = Roi(Coordinate(40, 40, 40), Coordinate(240, 240, 240))
    (found,) = deformed_labels(Deformation(matrix), [ball], roi, ball.roi)
    expected = ball[roi]
    assert (found.data != expected).mean() < 0.02  # the staircase of its surface


def test_scaling_scales_volumes():
    labels = np.zeros((60, 60, 60), np.uint8)
    labels[20:40, 20:40, 20:40] = 1
    array = placed(labels)
    matrix = tuple(tuple(float(a == b) / 1.5 for a in range(3)) for b in range(3))
    (found,) = deformed_labels(Deformation(matrix), [array], array.roi, array.roi)
    assert found.data.sum() == 30**3


def test_labels_and_image_move_together():
    random = np.random.default_rng(2)
    coarse = random.integers(0, 2, (8, 8, 8), np.uint8)
    labels = np.kron(coarse, np.ones((12, 12, 12), np.uint8))
    ids, drawn = placed(labels), placed(labels[None].astype(np.float32), channels=True)
    about = ids.roi
    way = bent(about.shape, matrix=in_plane(20))
    roi = inner(about, 28)
    assert about.contains(way.source(roi, about, ids.voxel_size))
    (found,) = deformed_labels(way, [ids], roi, about)
    picture = deformed_raw(way, drawn, roi, about).data[0]
    assert (found.data != ids[roi]).mean() > 0.2  # it does move
    clear = np.abs(picture - 0.5) > 0.499
    assert clear.mean() > 0.3
    np.testing.assert_array_equal(found.data[clear], picture[clear] > 0.5)
    # Where linear interpolation is in between, the nearest voxel has the larger share mostly.
    assert ((picture > 0.5) == found.data).mean() > 0.95


def test_raw_and_labels_of_different_voxels_move_together():
    fine = np.zeros((80, 80, 80), np.uint8)
    fine[30:50, 20:60, 36:44] = 1
    coarse = fine[::2, ::2, ::2]
    one, other = placed(fine, (4, 4, 4)), placed(coarse, (8, 8, 8))
    way = bent(one.roi.shape, spread=(10, 10, 10), matrix=in_plane(33))
    (a,) = deformed_labels(way, [one], one.roi, one.roi)
    (b,) = deformed_labels(way, [other], one.roi, one.roi)
    as_coarse = a.data.reshape(40, 2, 40, 2, 40, 2).mean((1, 3, 5)) > 0.5
    assert b.data.sum() > 500
    assert (as_coarse != b.data).mean() < 0.01


def test_ids_survive_that_floats_would_not_hold():
    labels = IDS[np.random.default_rng(0).integers(0, 3, (40, 40, 40))]
    array = placed(labels)
    way = bent(array.roi.shape, matrix=in_plane(10))
    (found,) = deformed_labels(way, [array], inner(array.roi, 14), array.roi)
    assert found.dtype == np.uint64
    assert set(np.unique(found.data)) == set(IDS)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int8", "uint16", "uint32", "int64", "uint64"])
def test_every_kind_of_labels_is_picked(kind):
    values = np.random.default_rng(0).integers(0, 2, (2, 20, 20, 20)).astype(kind)
    array = placed(values, channels=True)
    (found,) = deformed_labels(Deformation(in_plane(-90)), [array], array.roi, array.roi)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found.data, np.rot90(values, 1, (2, 3)))


def test_the_source_is_enough_and_hardly_more():
    about = Roi(Coordinate(0, 0, 0), Coordinate(400, 400, 400))
    size = Coordinate(8, 8, 8)
    for seed in range(5):
        way = bent(about.shape, seed=seed, matrix=in_plane(12.0 * seed))
        source = way.source(about, about, size)
        # Each voxel holds its own place, so that the result says what has been read.
        shape = tuple(source.shape / size)
        everywhere = [placed(i.astype(np.int32), begin=source.begin) for i in np.indices(shape)]
        read = [a.data for a in deformed_labels(way, everywhere, about, about)]
        for places, length in zip(read, shape, strict=True):
            assert 0 <= places.min() <= 3
            assert length - 4 <= places.max() <= length - 1
        # One voxel more on each side changes nothing: nothing was cut off.
        larger = source.grow(size, size)
        values = np.random.default_rng(seed).integers(0, 2**60, tuple(larger.shape / size))
        wide = placed(values, begin=larger.begin)
        (a,) = deformed_labels(way, [wide], about, about)
        (b,) = deformed_labels(way, [wide.crop(source)], about, about)
        np.testing.assert_array_equal(a.data, b.data)


def test_beyond_the_data_nothing_is_known_and_raw_is_mirrored():
    mask = placed(np.ones((20, 20, 20), np.uint8))
    raw = image((20, 20, 20))
    ids = placed(np.full((20, 20, 20), 2**60, np.int64))
    way = Deformation(in_plane(45))
    known, labels = deformed_labels(way, [mask, ids], mask.roi, mask.roi)
    assert known.data[:, 0, 0].max() == 0
    assert known.data[:, 10, 10].min() == 1
    np.testing.assert_array_equal(labels.data != 0, known.data != 0)
    found = deformed_raw(way, raw, raw.roi, raw.roi)
    assert np.isfinite(found.data).all()
    assert found.data.std() > 0.1  # no blank corners
    # A plane goes on as its mirror image: 0, 1, 2 from the right end on backwards.
    ramp = placed(np.broadcast_to(np.arange(20, dtype=np.float32), (1, 20, 20, 20)), channels=True)
    moved = Deformation(IDENTITY, slips=(Slip(-1e9, (0.0, 0.0, 24.0)),))
    line = deformed_raw(moved, ramp, ramp.roi, ramp.roi).data[0, 0, 0]
    np.testing.assert_allclose(line[-4:], [19, 18, 17, 16], atol=1e-4)


def test_a_slip_moves_sections_from_one_on():
    labels = np.random.default_rng(0).integers(0, 100, (10, 20, 20))
    array = placed(labels, (40, 4, 4))
    # Sections 6 to 9 begin 40 nm behind the middle.
    way = Deformation(IDENTITY, slips=(Slip(40.0, (0.0, 8.0, -12.0)),))
    (found,) = deformed_labels(way, [array], array.roi, array.roi)
    np.testing.assert_array_equal(found.data[:6], labels[:6])
    np.testing.assert_array_equal(found.data[6:, :-2, 3:], labels[6:, 2:, :-3])


@pytest.mark.parametrize("size", [(400, 400, 400), (400, 400)])
def test_bending_never_folds_and_is_as_large_as_said(size):
    dims = len(size)
    shares, stretched = [], []
    for seed in range(6):
        bending = Bending.over(size, 100, (8.0,) * dims, seed)
        places = [np.linspace(-150, 150, 61)] * dims
        field = bending.spread_out(places, np.eye(dims), "cpu").numpy()
        shares.append((field[(slice(None), *[slice(None, None, 20)] * dims)] ** 2).mean())
        slopes = [np.stack(np.gradient(part, 5.0)).reshape(dims, *part.shape) for part in field]
        jacobian = np.moveaxis(np.stack(slopes), (0, 1), (-2, -1)) + np.eye(dims)
        stretched.append(np.linalg.det(jacobian).min())
    assert min(stretched) > 0
    assert np.sqrt(np.mean(shares)) == pytest.approx(8, rel=0.2)


def test_bending_goes_on_beyond_its_points():
    bending = Bending.over((200, 200, 200), 50, (4, 4, 4), 0)
    places = np.linspace(-2000, 2000, 401)
    field = bending.spread_out([places, places[200:201], places[200:201]], np.eye(3), "cpu")
    assert np.abs(np.diff(field.numpy()[:, :, 0, 0], axis=1)).max() < 10
    assert np.abs(field.numpy()).max() < 4 * np.sqrt(3 * 8)


def test_read_only_values_and_cropped_views_can_be_read():
    values = np.random.default_rng(0).random((1, 30, 30, 30), dtype=np.float32)
    values.flags.writeable = False
    raw = placed(values, channels=True)
    roi = inner(raw.roi, 9)
    found = deformed_raw(Deformation(in_plane(30)), raw, roi, roi)
    assert found.data.shape == (1, 12, 12, 12)
    assert found.roi == roi


def test_the_number_of_threads_of_torch_does_not_change_the_result():
    raw = image((80, 80, 80))
    labels = placed(np.random.default_rng(1).integers(0, 2**60, (80, 80, 80)))
    way = bent(raw.roi.shape, matrix=in_plane(20))
    before = torch.get_num_threads()
    results = []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            picture = deformed_raw(way, raw, raw.roi, raw.roi)
            results.append((picture.data, deformed_labels(way, [labels], raw.roi, raw.roi)[0].data))
    finally:
        torch.set_num_threads(before)
    for picture, ids in results[1:]:
        np.testing.assert_array_equal(picture, results[0][0])
        np.testing.assert_array_equal(ids, results[0][1])


@pytest.mark.parametrize("dims", [2, 3])
def test_other_devices_interpolate_alike(dims):
    size = (16, 8, 8)[-dims:]
    matrix = tuple(row[-dims:] for row in in_plane(33)[-dims:])
    raw = image((20, 24, 28)[:dims], voxel_size=size)
    roi = inner(raw.roi, 6, size=8)
    deformation = bent(roi.shape, (10,) * dims, 200, matrix=matrix)
    places = Places(deformation, roi, roi, raw.voxel_size)
    source = raw.roi
    elsewhere = sampled(raw.data.copy(), places, source, torch.device("cpu"))
    here = interpolate(raw.data.copy(), places, source, torch.device("cpu"))
    assert here.shape == (1, *(roi.shape / raw.voxel_size))
    assert here.std() > 0.1
    np.testing.assert_allclose(here, elsewhere, atol=1e-4)
