"""The colours of targets, predictions, weights and classes: the same wherever they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from colorsys import hls_to_rgb
from typing import Any

from napari.utils import Colormap
from napari.utils.colormaps import AVAILABLE_COLORMAPS, CyclicLabelColormap, label_colormap

from napari_dacapo_tasks.tasks.predictors.predictor import Composite

Range = tuple[float, float]

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

ONE_SIDED = "inferno"
"""For 0 to 1; not gray, as the raw data beneath it is."""

NOTHING = (0.0, 0.0, 0.0, 0.0)

WEIGHT = Colormap(
    colors=AVAILABLE_COLORMAPS["viridis"].colors,
    controls=AVAILABLE_COLORMAPS["viridis"].controls,
    low_color=NOTHING,
    name="weight",
)
"""Viridis, and nothing at all where the weight is 0: a low weight counts, none does not."""

LEFT_OUT_COLOUR = (0.95, 0.75, 0.1, 0.55)

LEFT_OUT = Colormap(
    colors=[LEFT_OUT_COLOUR, (*LEFT_OUT_COLOUR[:3], 0.0)], name="left out", controls=[0.0, 1.0]
)
"""Amber where a mask is 0, nothing where it is 1."""

BACKGROUND = "#8c8c8c"
"""Of the class that is none of the objects, in curves; in pictures it has no colour."""

FOREGROUND = "#2fd07a"
"""Of what a segmentation finds: none of the colours of a target or a mask."""

INSTANCES: dict[str, Any] = {"colormap": label_colormap(), "features": {}}
"""Look of the labels layer of objects: any number of colours."""

COLOURS = ("#3b8ed0", "#e07b39", "#4aa564", "#b65fc4", "#c9a227", "#d1495b", "#5ab4ac")

GOLDEN_RATIO = 0.618
"""Hues that are this part of the circle apart never come together."""


def target_colormap(target_range: Range) -> Colormap | str:
    """Give the colours of a target: diverging where it has two signs."""
    return DIVERGING if target_range[0] < 0 < target_range[1] else ONE_SIDED


def target_look(target_range: Range) -> dict[str, Any]:
    """Give colours and limits of the layer of a target or a prediction."""
    return {"colormap": target_colormap(target_range), "contrast_limits": target_range}


def weight_look(weight_range: Range) -> dict[str, Any]:
    """Give colours and limits of the layer of a weight."""
    return {"colormap": WEIGHT, "contrast_limits": weight_range}


def colour(index: int) -> str:
    """Give one of any number of colours that differ, as ``#rrggbb``."""
    if index < len(COLOURS):
        return COLOURS[index]
    rgb = hls_to_rgb(index * GOLDEN_RATIO % 1, (0.45, 0.65)[index % 2], 0.6)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def channel_colours(count: int, composites: Sequence[Composite]) -> list[str]:
    """Give a colour for each channel; the first of classes that exclude each other is grey."""
    backgrounds = {one.channels[0] for one in composites if one.exclusive}
    rest = iter(range(count))
    return [BACKGROUND if index in backgrounds else colour(next(rest)) for index in range(count)]


def class_look(names: Sequence[str], colours: Sequence[str]) -> dict[str, Any]:
    """Give colours and names of the labels layer of a map of classes.

    Parameters
    ----------
    names, colours
        Of each class; the first is background and has no colour. The value after the last class
        stands for voxels of no class, and is amber as all that is left out.
    """
    # A cycle of just these colours: napari would first compile code for a table of them.
    colors = [NOTHING, *colours[1:], LEFT_OUT_COLOUR]
    return {
        "colormap": CyclicLabelColormap(colors=colors, name=f"classes {', '.join(names)}"),
        "features": {"index": range(len(names) + 1), "class": [*names, "none"]},
    }
