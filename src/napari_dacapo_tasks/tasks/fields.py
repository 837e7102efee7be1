"""Fields, and rules for them, that the configs of different kinds of tasks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

KernelSize = Annotated[
    int | None,
    Field(
        ge=1,
        title="Kernel size",
        description="Voxels along each axis that the last convolution looks at. None is 1: it "
        "answers voxel by voxel. (For a checkpoint of DaCapo made without a kernel size give 3.)",
    ),
]
"""Of the prediction head, as DaCapo calls it."""

DEFAULT_KERNEL_SIZE = 1
"""What a kernel size of None stands for."""


def require_names(names: Sequence[str], plural: str) -> None:
    """Refuse empty names, and a name that stands twice.

    Parameters
    ----------
    names
        Of the channels, or of the classes.
    plural
        What they name, such as ``"channels"``.
    """
    if not all(name.strip() for name in names):
        raise ValueError(f"one of the {plural} has no name: give each its own name")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two {plural} are named {twice[0]}: give each its own name")
