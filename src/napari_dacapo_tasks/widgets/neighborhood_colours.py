"""A colour for each offset of a neighbourhood: the same wherever and whenever it is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtGui import QColor

BETWEEN_AXES = 1 / 3
"""Of the circle of hues: red, green and blue for the axes."""

DISTANCE_TURN = 0.055
"""Of the circle of hues: how far twice the distance is turned from the nearest neighbour."""

SATURATIONS = {1: 0.9, 2: 0.6, 3: 0.4}
"""By the number of axes along which there are steps: diagonals are paler."""

DARK_THEME, LIGHT_THEME = 0.64, 0.42
"""Lightness that stands out from the background of a theme."""

BACKWARD = -0.16
"""Added to the lightness of an offset that begins with a negative step."""


def colour_of(offset: Sequence[int], *, dark: bool = True) -> QColor:
    """Give the colour of an offset.

    Steps along the first axis are red, along the second green, along the third blue, as in a
    composite of the affinities to the nearest neighbours. Diagonals lie between their axes: those
    of two steps with one sign the short way around the circle of hues, those of two signs the long
    way. Longer steps are turned a little.

    Parameters
    ----------
    offset
        Steps along each axis, in voxels; grey where there is none.
    dark
        Whether the background is dark.
    """
    steps = {axis: step for axis, step in enumerate(offset) if step}
    lightness = DARK_THEME if dark else LIGHT_THEME
    if not steps:
        return QColor.fromHslF(0.0, 0.0, lightness)
    first, *others = steps
    signs = [steps[axis] * steps[first] > 0 for axis in others]
    hue = first * BETWEEN_AXES
    if len(others) == 1:
        way = (others[0] - first) * BETWEEN_AXES
        way = (way + 0.5) % 1.0 - 0.5
        if not signs[0]:
            way -= math.copysign(1.0, way)
        hue += way * abs(steps[others[0]]) / (abs(steps[others[0]]) + abs(steps[first]))
    elif len(others) > 1:
        hue = sum(2**n for n, same in enumerate(signs) if same) / 2 ** len(signs)
    hue += DISTANCE_TURN * math.log2(max(map(abs, steps.values())))
    if steps[first] < 0:
        lightness += BACKWARD
    return QColor.fromHslF(hue % 1.0, SATURATIONS[len(steps)], lightness)
