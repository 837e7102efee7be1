import numpy as np
import pytest

from napari_dacapo_tasks.numerics.objects import LARGEST_SIDE, central_box, typical_radius


def balls(shape, centres, radius, voxel_size):
    """Draw balls with the ids 1, 2, ...; lengths in world units."""
    grid = [
        (index - length // 2) * size
        for index, length, size in zip(np.indices(shape), shape, voxel_size, strict=True)
    ]
    labels = np.zeros(shape, np.uint32)
    for label, centre in enumerate(centres, start=1):
        inside = sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) <= radius**2
        labels[inside] = label
    return labels


@pytest.mark.parametrize(
    ("shape", "voxel_size", "radius"),
    [
        ((64, 64, 64), (8, 8, 8), 120),
        ((64, 64, 64), (1, 1, 1), 6),
        ((24, 80, 80), (40, 8, 8), 200),
        ((96, 96), (4, 4), 60),
    ],
)
def test_a_ball_has_its_radius(shape, voxel_size, radius):
    labels = balls(shape, [(0,) * len(shape)], radius, voxel_size)
    assert typical_radius(labels, voxel_size) == pytest.approx(radius, abs=max(voxel_size) / 2)


def test_touching_balls_are_apart():
    labels = balls((48, 48, 80), [(0, 0, -14), (0, 0, 14)], 15, (1, 1, 1))
    assert typical_radius(labels, (1, 1, 1)) == pytest.approx(14.5, abs=1)


def test_specks_count_for_little():
    labels = balls((64, 64, 64), [(0, 0, 0)], 16, (1, 1, 1))
    random = np.random.default_rng(0)
    for z, y, x in random.integers(0, 64, (60, 3)):
        labels[z, y, x] = 9
    alone = balls((64, 64, 64), [(0, 0, 0)], 16, (1, 1, 1))
    alone[labels == 9] = 0
    assert typical_radius(labels, (1, 1, 1)) == pytest.approx(
        typical_radius(alone, (1, 1, 1)), rel=0.3
    )


def test_a_tube_has_the_radius_of_its_section():
    y, x = np.indices((40, 40)) - 20
    labels = np.broadcast_to(y**2 + x**2 <= 9**2, (60, 40, 40)).astype(np.uint8)
    assert typical_radius(labels, (1, 1, 1)) == pytest.approx(9, abs=1)


def test_a_sheet_has_half_its_thickness():
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[15:25] = 1
    assert typical_radius(labels, (2, 2, 2)) == pytest.approx(10, abs=1)


@pytest.mark.parametrize("value", [0, 5])
def test_without_a_boundary_there_is_none(value):
    assert typical_radius(np.full((20, 20, 20), value), (1, 1, 1)) is None


def test_bool_and_empty_labels():
    labels = balls((40, 40, 40), [(0, 0, 0)], 10, (1, 1, 1))
    assert typical_radius(labels > 0, (1, 1, 1)) == typical_radius(labels, (1, 1, 1))
    assert typical_radius(np.zeros((0, 4, 4), int), (1, 1, 1)) is None


def test_only_the_middle_of_a_large_volume_is_looked_at():
    assert central_box((200, 128, 60)) == (slice(36, 164), slice(0, 128), slice(0, 60))
    labels = np.zeros((16, LARGEST_SIDE + 80, 16), np.uint8)
    labels[4:12, :20, 4:12] = 1
    assert typical_radius(labels, (1, 1, 1)) is None
