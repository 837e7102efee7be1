"""What is cut out of the data of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.training.augmentation import Augmentation
from napari_dacapo_tasks.training.places import Place


@dataclass(frozen=True)
class Crop:
    """Raw as the network sees it, target and weight where it answers; all with channels.

    Attributes
    ----------
    raw, target, weight
        Where they lay in the data before anything was done to them.
    volume
        Name of the volume that they are from.
    done
        What was done to them, in words.
    """

    raw: NumpyArray
    target: NumpyArray
    weight: NumpyArray
    volume: str = ""
    done: str = ""


@dataclass(frozen=True)
class Draft:
    """A crop whose classes are counted but not balanced with those of others yet.

    Attributes
    ----------
    raw, target
        As of a `Crop`.
    gt, mask
        Ground truth of the target and what is known of it, with context.
    counts
        Of the classes, of this crop alone.
    masks
        What the weight will be made of, by name, where it takes long to make.
    place, augmentation
        Where it was taken from, and what was done to it.
    """

    raw: NumpyArray
    target: NumpyArray
    gt: NumpyArray
    mask: NumpyArray
    counts: Any
    masks: Mapping[str, NumpyArray]
    place: Place
    augmentation: Augmentation
