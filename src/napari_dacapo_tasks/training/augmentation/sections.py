"""Sections that are missing, dark or displaced, as in electron microscopy.

The sections are those along the axis with the largest voxels, the first one where they are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, inf, pi, sin, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.training.augmentation.deformation import Slip

Blank = Literal["darkest", "mean", "brightest"]

BLANKS: tuple[Blank, ...] = ("darkest", "mean", "brightest")
"""What a lost section looks like: padding, a filled gap, empty resin."""

LITTLE_CONTRAST = (0.1, 0.5)
"""Factors on the distance from the section's mean in a dark section."""

DARKER = (0.0, 0.7)
"""How far the mean of a dark section goes towards the darkest value of the crop."""


@dataclass(frozen=True)
class Sections:
    """What is wrong with which sections; the first one of the crop has the number 0.

    Attributes
    ----------
    axis
        Along which sections follow each other.
    missing
        Number, and what is there instead.
    dark
        Number, factor on contrast, and how far it goes towards the darkest value.
    displaced
        Number, and voxels by which it lies beside its place along each axis.
    """

    axis: int
    missing: tuple[tuple[int, Blank], ...] = ()
    dark: tuple[tuple[int, float, float], ...] = ()
    displaced: tuple[tuple[int, tuple[int, ...]], ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether all sections are fine."""
        return not (self.missing or self.dark or self.displaced)

    def describe(self) -> list[str]:
        """Say each kind in words."""
        kinds = (
            ("missing", self.missing),
            ("dark", self.dark),
            ("displaced", self.displaced),
        )
        return [f"{_numbers([one[0] for one in many])} {name}" for name, many in kinds if many]

    def apply(self, raw: NDArray[np.float32]) -> None:
        """Spoil sections in place; raw of shape ``(c, z, y, x)``, float32."""
        lowest, highest = raw.min(), raw.max()
        mean = raw.mean(dtype=np.float64)
        levels = dict(zip(BLANKS, (lowest, mean, highest), strict=True))
        sections = np.moveaxis(raw, self.axis + 1, 0)
        for number, move in self.displaced:
            in_plane = [step for axis, step in enumerate(move) if axis != self.axis]
            sections[number] = _moved(sections[number], in_plane)
        for number, contrast, darker in self.dark:
            own = sections[number].mean(dtype=np.float64)
            level = own + darker * (lowest - own)
            sections[number] = contrast * (sections[number] - own) + level
        for number, blank in self.missing:
            sections[number] = levels[blank]


@dataclass(frozen=True)
class SectionOdds:
    """How likely each defect is for a section, and how far displaced ones lie beside it.

    Attributes
    ----------
    missing, dark, shifted
        Probabilities.
    shift
        Largest displacement, in grid steps.
    """

    missing: float
    dark: float
    shifted: float
    shift: float

    def draw(
        self, random: np.random.Generator, input_size: Sequence[int], voxel_size: Sequence[int]
    ) -> tuple[Sections, tuple[Slip, ...]]:
        """Draw what is wrong, for a crop of three axes.

        A displaced section that is alone concerns raw only: the network is to see past it. Where
        all sections from one on are displaced, what is there has moved, and the labels with it:
        that is a `Slip` of a deformation. Both are equally likely.
        """
        axis = section_axis(voxel_size)
        count = input_size[axis] // voxel_size[axis]
        # One row for each kind of number, so that the odds do not change which are drawn.
        missing, dark, shifted, kind, contrast, darker, far, angle = random.random((8, count))
        blank = random.integers(len(BLANKS), size=count)
        in_plane = [a for a in range(len(voxel_size)) if a != axis]
        displaced, starts = [], []
        for number in np.flatnonzero(shifted < self.shifted).tolist():
            reach = self.shift * sqrt(far[number])  # all over the disc alike
            move = [0.0] * len(voxel_size)
            move[in_plane[0]] = reach * cos(2 * pi * angle[number])
            move[in_plane[1]] = reach * sin(2 * pi * angle[number])
            if kind[number] < 0.5:
                steps = tuple(round(m / size) for m, size in zip(move, voxel_size, strict=True))
                displaced.append((number, steps))
            elif number > 0:  # all of the crop is no displacement
                starts.append((number, move))
        sections = Sections(
            axis,
            tuple(
                (number, BLANKS[blank[number]])
                for number in np.flatnonzero(missing < self.missing).tolist()
            ),
            tuple(
                (number, _at(LITTLE_CONTRAST, contrast[number]), _at(DARKER, darker[number]))
                for number in np.flatnonzero(dark < self.dark).tolist()
            ),
            tuple(displaced),
        )
        return sections, _slips(starts, count, voxel_size[axis])


def section_axis(voxel_size: Sequence[float]) -> int:
    """Find the axis along which sections follow each other."""
    return list(voxel_size).index(max(voxel_size))


def _slips(
    starts: Sequence[tuple[int, Sequence[float]]], count: int, thickness: float
) -> tuple[Slip, ...]:
    """Make slips of the sections that begin them; the section in the middle stays in place."""
    if not starts:
        return ()
    middle = np.zeros(len(starts[0][1]))
    for number, move in starts:
        if number <= count // 2:
            middle = np.array(move)
    # What lies before the first slip is displaced by as much, the other way.
    slips = [Slip(-inf, tuple((-middle).tolist()))] if middle.any() else []
    for number, move in starts:
        start = (number - count / 2) * thickness
        slips.append(Slip(start, tuple((np.array(move) - middle).tolist())))
    return tuple(slips)


def _moved(section: NDArray[np.float32], steps: Sequence[int]) -> NDArray[np.float32]:
    """Move a section ``(c, y, x)`` by voxels; what comes in from outside is its mirror image."""
    rows, columns = (
        _mirrored(np.arange(length) - step, length)
        for length, step in zip(section.shape[1:], steps, strict=True)
    )
    return section[:, rows[:, None], columns[None, :]]


def _mirrored(indices: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Bring indices back into ``[0, length)`` as if there were mirrors at both ends."""
    period = 2 * length
    folded = indices % period
    return np.minimum(folded, period - 1 - folded)


def _at(bounds: tuple[float, float], where: float) -> float:
    low, high = bounds
    return float(low + (high - low) * where)


def _numbers(numbers: Sequence[int]) -> str:
    name = "section" if len(numbers) == 1 else "sections"
    return f"{name} {', '.join(str(number) for number in numbers)}"
