"""The colours of targets, predictions and weights: the same wherever they are shown."""

from __future__ import annotations

from napari.utils import Colormap

DIVERGING = Colormap(
    colors=[
        [0.03, 0.19, 0.45, 1.0],
        [0.26, 0.55, 0.80, 1.0],
        [0.95, 0.94, 0.92, 1.0],
        [0.90, 0.50, 0.33, 1.0],
        [0.50, 0.02, 0.12, 1.0],
    ],
    controls=[0.0, 0.25, 0.5, 0.75, 1.0],
    name="blue to red",
)
"""Blue outside, near white on the boundary, red inside; for -1 to 1."""

WEIGHT = "viridis"

ONE_SIDED = "gray"


def target_colormap(target_range: tuple[float, float]) -> Colormap | str:
    """Give the colours of a target: diverging where it has two signs."""
    return DIVERGING if target_range[0] < 0 < target_range[1] else ONE_SIDED
