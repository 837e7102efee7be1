"""Where an array lies, by the attributes that funlib, gunpowder and DaCapo give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_dacapo_tasks.arrays.array import CHANNEL, TIME
from napari_dacapo_tasks.errors import DataError

SPELLINGS = {"channel": CHANNEL, "channels": CHANNEL, "time": TIME}


@dataclass(frozen=True)
class Metadata:
    """Axes of an array, and scale, position and unit of the spatial ones among them."""

    axes: tuple[str, ...]
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]

    @property
    def space(self) -> tuple[str, ...]:
        """Names of the spatial axes."""
        return tuple(name for name in self.axes if name not in (CHANNEL, TIME))


def funlib_metadata(path: str | Path, attrs: Mapping[str, Any], ndim: int) -> Metadata:
    """Read what funlib, gunpowder and DaCapo write: in nanometres where no unit is named.

    Parameters
    ----------
    path
        Of the array, for the sentence where its attributes do not fit it; raises DataError then.
    attrs
        Lists, numbers and texts.
    ndim
        Number of axes of the array.
    """
    transform = attrs.get("transform") or {}
    sizes = attrs.get("voxel_size", attrs.get("resolution", transform.get("scale")))
    begin = attrs.get("offset", transform.get("translate"))
    names = attrs.get("axis_names", attrs.get("axes", transform.get("axes")))
    units: Any = attrs.get("units", transform.get("units", "nm" if sizes is not None else ""))
    space_dims = ndim if sizes is None else len(sizes)
    if names is None:
        names = [*[CHANNEL] * (ndim - space_dims), *"zyx"[-space_dims:]]
    axes = tuple(str(name).rstrip("^") for name in names)
    axes = tuple(SPELLINGS.get(name, name) for name in axes)
    space = [i for i, name in enumerate(axes) if name not in (CHANNEL, TIME)]
    if len(axes) != ndim or ndim - space_dims > 1:
        raise DataError(
            f"{path} has {ndim} axes, but its attributes tell of {len(axes)} axes and "
            f"{space_dims} voxel sizes: correct its voxel_size and axis_names."
        )
    return Metadata(
        axes=axes,
        scale=_of_space(sizes, space, ndim, 1.0),
        translate=_of_space(begin, space, ndim, 0.0),
        units=tuple(
            [units] * len(space) if isinstance(units, str) else _spatial(units, space, ndim)
        ),
    )


def _of_space(
    values: Sequence[float] | None, space: list[int], ndim: int, default: float
) -> tuple[float, ...]:
    if values is None:
        return (default,) * len(space)
    return tuple(float(value) for value in _spatial(values, space, ndim))


def _spatial(values: Sequence[Any], space: list[int], ndim: int) -> list[Any]:
    """Take the spatial ones of values given for every axis or for the spatial axes only."""
    return [values[i] for i in space] if len(values) == ndim else list(values)
