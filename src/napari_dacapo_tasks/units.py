"""Nanometres, voxels and the integer world grid: the only place that converts.

`funlib.geometry` counts in whole numbers (0.5 becomes 0 in silence), layers and files carry
floats with units. So a place in the world is first brought to nanometres (or stays in voxels
where there is no physical unit) and then onto a grid fine enough for whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from funlib.geometry import Coordinate

from napari_dacapo_tasks.errors import DataError

GRID_STEPS = (1, 10, 1000)
"""Steps of the grid in one base unit, coarsest first: nanometre, ångström, picometre."""

STEP_NAMES = {1: "nanometres", 10: "ångströms", 1000: "picometres"}

WHOLE_TOLERANCE = 1e-6
"""How far from whole, in parts of the value, a length may be: the rounding of unit conversion."""


@dataclass(frozen=True)
class WorldUnit:
    """The unit of a world grid.

    Attributes
    ----------
    name
        Base unit of configs and forms: ``"nm"``, or ``"voxels"`` without a physical unit.
    steps
        Whole steps of the grid in one base unit.
    """

    name: str = "nm"
    steps: int = 1

    def describe(self, lengths: Sequence[float] | float) -> str:
        """Say lengths given in grid steps, as ``"40 x 4 x 4 nm"``."""
        many = [lengths] if isinstance(lengths, (int, float)) else list(lengths)
        return " x ".join(f"{length / self.steps:.6g}" for length in many) + f" {self.name}"


NANOMETRE = WorldUnit("nm")
VOXEL = WorldUnit("voxels")


@dataclass(frozen=True)
class Grid:
    """Where an array lies: whole numbers of steps of ``unit``, one value per spatial axis."""

    voxel_size: Coordinate
    offset: Coordinate
    unit: WorldUnit


def place(
    axes: Sequence[str], scale: Sequence[float], translate: Sequence[float], units: Sequence[str]
) -> Grid:
    """Put a place given in floats onto the coarsest whole grid.

    Parameters
    ----------
    axes, scale, translate, units
        Name, voxel size, position of the first voxel and unit of each spatial axis.

    Raises
    ------
    DataError
        Where a unit is no length, axes mix voxels and lengths, or a voxel size is no whole number
        even of picometres.
    """
    factors = [nanometres_per(unit) for unit in units]
    if any(factor is None for factor in factors) != all(factor is None for factor in factors):
        raise DataError(
            f"The axes {', '.join(axes)} have the units {', '.join(units)}: give all of them a "
            "physical unit, or none."
        )
    name = VOXEL.name if factors[0] is None else NANOMETRE.name
    sizes = [length * (factor or 1.0) for length, factor in zip(scale, factors, strict=True)]
    begin = [length * (factor or 1.0) for length, factor in zip(translate, factors, strict=True)]
    for axis, size in zip(axes, sizes, strict=True):
        if not (math.isfinite(size) and size > 0):
            raise DataError(f"Axis {axis} has a voxel size of {size:g}: it must be above zero.")
    steps = next((s for s in GRID_STEPS if all(_is_whole(size * s) for size in sizes)), None)
    if steps is None:
        finest = GRID_STEPS[-1]
        axis, size = next(
            (a, s) for a, s in zip(axes, sizes, strict=True) if not _is_whole(s * finest)
        )
        if name == NANOMETRE.name:
            limit, rounded = "whole number of picometres", f"{round(size, 3):g} nm"
        else:
            limit, rounded = "multiple of 0.001", f"{round(size, 3):g}"
        raise DataError(
            f"Axis {axis} has a voxel size of {size:.9g} {name}, which is no {limit}: "
            f"set its scale to {rounded}."
        )
    if not all(_is_whole(length * steps) for length in begin):
        # Positions decide only as far as a finer grid helps; below a picometre they are rounded.
        steps = next(
            (s for s in GRID_STEPS if s >= steps and all(_is_whole(b * s) for b in begin)),
            GRID_STEPS[-1],
        )
    return Grid(
        Coordinate(round(size * steps) for size in sizes),
        Coordinate(round(length * steps) for length in begin),
        WorldUnit(name, steps),
    )


@cache
def nanometres_per(unit: str) -> float | None:
    """Length of a unit in nanometres, None for pixels and other units that are no length.

    Raises
    ------
    DataError
        For units of something else, such as seconds.
    """
    if unit in ("", "pixel", "pixels", "px", "voxel", "voxels", "dimensionless", "None"):
        return None
    import pint  # takes a third of a second to import, and few paths need it

    try:
        return float(pint.get_application_registry().Quantity(1, unit).to("nanometer").magnitude)
    except pint.PintError:
        raise DataError(
            f"The unit '{unit}' is no length: use one such as nanometer or micrometer."
        ) from None


def _is_whole(value: float) -> bool:
    return abs(value - round(value)) <= WHOLE_TOLERANCE * max(1.0, abs(value))
