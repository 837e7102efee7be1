import pytest

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import NANOMETRE, WorldUnit, nanometres_per, place

ZYX = ("z", "y", "x")


@pytest.mark.parametrize(
    ("scale", "unit", "voxel_size", "steps"),
    [
        ((8, 8, 8), "nanometer", (8, 8, 8), 1),
        ((5.2, 4, 4), "nanometer", (52, 40, 40), 10),
        ((5.24, 4, 4), "nanometer", (5240, 4000, 4000), 1000),
        ((0.04, 0.004, 0.004), "micrometer", (40, 4, 4), 1),
        ((0.00524, 0.004, 0.004), "micrometer", (5240, 4000, 4000), 1000),
        ((80, 40, 40), "angstrom", (8, 4, 4), 1),
    ],
)
def test_voxel_sizes_go_onto_the_coarsest_whole_grid(scale, unit, voxel_size, steps):
    grid = place(ZYX, scale, (0, 0, 0), [unit] * 3)
    assert tuple(grid.voxel_size) == voxel_size
    assert grid.unit == WorldUnit("nm", steps)


def test_positions_refine_the_grid_and_are_at_most_half_a_picometre_off():
    grid = place(ZYX, (8, 8, 8), (0.5, 16, 1 / 3), ["nm"] * 3)
    assert grid.unit.steps == 1000
    assert tuple(grid.offset) == (500, 16000, 333)
    assert tuple(grid.voxel_size) == (8000, 8000, 8000)


def test_without_a_physical_unit_everything_is_in_voxels():
    grid = place(("y", "x"), (2.5, 1), (0, 3), ["pixel", "pixel"])
    assert grid.unit == WorldUnit("voxels", 10)
    assert tuple(grid.voxel_size) == (25, 10)
    assert tuple(grid.offset) == (0, 30)


def test_a_voxel_size_that_is_not_whole_in_picometres_names_its_axis():
    with pytest.raises(DataError, match=r"Axis y .* 8\.33333333 nm.*set its scale to 8\.333 nm"):
        place(ZYX, (8, 25 / 3, 8), (0, 0, 0), ["nm"] * 3)


def test_axes_cannot_mix_voxels_and_lengths():
    with pytest.raises(DataError, match="z, y, x have the units pixel, nm, nm"):
        place(ZYX, (1, 8, 8), (0, 0, 0), ["pixel", "nm", "nm"])


@pytest.mark.parametrize("size", [0.0, -8.0, float("nan"), float("inf")])
def test_a_voxel_size_must_be_above_zero(size):
    with pytest.raises(DataError, match="Axis x has a voxel size"):
        place(ZYX, (8, 8, size), (0, 0, 0), ["nm"] * 3)


def test_units_of_something_else_are_refused():
    assert nanometres_per("pixel") is None
    assert nanometres_per("um") == pytest.approx(1000)
    with pytest.raises(DataError, match="'second' is no length"):
        nanometres_per("second")
    with pytest.raises(DataError, match="'furlongs_of_joy' is no length"):
        nanometres_per("furlongs_of_joy")


def test_lengths_are_said_in_the_base_unit():
    assert NANOMETRE.describe((40, 4, 4)) == "40 x 4 x 4 nm"
    assert WorldUnit("nm", 1000).describe(5240) == "5.24 nm"
