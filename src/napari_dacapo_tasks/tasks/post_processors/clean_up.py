"""What is done to objects once they are found: small ones go, holes in them are filled."""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated, Any

from numpy.typing import NDArray
from pydantic import Field

MinSize = Annotated[
    int,
    Field(
        ge=0,
        title="Smallest object (voxels)",
        description="Objects of fewer voxels are left out.",
    ),
]
"""The field ``min_size``."""

FillHoles = Annotated[
    int,
    Field(
        ge=0,
        title="Fill holes up to (voxels)",
        description="Background that a single object encloses becomes part of it, up to this "
        "size; what touches the border of the volume, or two objects, stays. Small objects are "
        "left out first. 0 fills none.",
    ),
]
"""The field ``fill_holes``."""


def filled(labels: NDArray[Any], max_size: int) -> Generator[float, None, None]:
    """Fill the holes of each channel of labels ``(c, z, y, x)``, in place, step by step.

    Yields
    ------
    Share that is done.
    """
    from napari_dacapo_tasks.numerics.holes import fill_holes

    if max_size <= 0:
        return
    for number, channel in enumerate(labels):
        for share in fill_holes(channel, max_size):
            yield (number + share) / len(labels)
