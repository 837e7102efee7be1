"""The colours of mistakes, for all eyes."""

from itertools import combinations

import numpy as np
import pytest
from qtpy.QtGui import QColor
from skimage.color import rgb2lab

from napari_dacapo_tasks.evaluation.mistakes import MISTAKES
from napari_dacapo_tasks.widgets.chosen_object import COLOUR
from napari_dacapo_tasks.widgets.mistakes_layers import COLOURS, MEANINGS, OF_OBJECT

# Machado, Oliveira and Fernandes (2009), table 1: full dichromacy, in linear RGB.
EYES = {
    "all cones": np.eye(3),
    "no red cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue cones": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}

TOLD_APART = 15
"""Distance in CIELAB; about 2 is just seen where two colours touch."""


def seen(colour: str, eye: str) -> np.ndarray:
    rgb = np.array(QColor(colour).getRgbF()[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.asarray(EYES[eye]) @ linear, 0, 1)
    rgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(rgb[np.newaxis, np.newaxis])[0, 0]


@pytest.mark.parametrize("eye", EYES)
def test_mistakes_are_told_apart_by_all_eyes(eye: str) -> None:
    # Wrong classes are never seen beside the others.
    for one, other in combinations([*COLOURS[:4], COLOUR], 2):
        assert np.linalg.norm(seen(one, eye) - seen(other, eye)) > TOLD_APART, (one, other)


def test_every_mistake_has_a_colour_and_a_meaning() -> None:
    assert len(COLOURS) == len(MEANINGS) == len(MISTAKES)
    assert len(set(COLOURS)) == len(COLOURS)
    assert set(OF_OBJECT) == {"false", "missed", "split", "merged"}
