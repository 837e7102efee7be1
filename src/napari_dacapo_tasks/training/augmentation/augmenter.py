"""What happens to a crop, decided by random numbers, and doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.numerics.symmetries import Symmetry
from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
from napari_dacapo_tasks.training.augmentation.bending import Bending
from napari_dacapo_tasks.training.augmentation.deformation import (
    Deformation,
    deformed_labels,
    deformed_raw,
)
from napari_dacapo_tasks.training.augmentation.intensity import Intensity
from napari_dacapo_tasks.training.augmentation.rotations import (
    apart,
    as_matrix,
    random_rotation,
)
from napari_dacapo_tasks.training.augmentation.sections import (
    SectionOdds,
    Sections,
    section_axis,
)
from napari_dacapo_tasks.units import WorldUnit


@dataclass(frozen=True)
class Augmentation:
    """What happens to one crop: plain values, the same on every machine.

    Attributes
    ----------
    symmetry
        How raw, target and weight are turned in the end.
    deformation
        How raw and labels are resampled before; None where they stay, so that a target from a
        cache serves.
    intensity, sections
        How raw is changed; None where it is not.
    rotation, scaling
        Angle in degrees and factor on sizes of the deformation, for `describe`.
    """

    symmetry: Symmetry
    deformation: Deformation | None = None
    intensity: Intensity | None = None
    sections: Sections | None = None
    rotation: float = 0.0
    scaling: float = 1.0

    def describe(self, axes: Sequence[str] = ("z", "y", "x")) -> str:
        """Say it in words for people, such as ``turned by 12 degrees, mirrored in z``."""
        names = list(axes)[-len(self.symmetry.order) :]
        said = []
        if self.deformation is not None:
            if self.rotation:
                said.append(f"turned by {round(self.rotation)} degrees")
            if self.scaling != 1:
                said.append(f"scaled by {self.scaling:.2f}")
            if self.deformation.bending is not None:
                said.append("bent")
            if self.deformation.slips:
                said.append("sections shifted from one on")
        for part in (self.sections, self.intensity):
            said += [] if part is None else part.describe()
        order = [names[axis] for axis in self.symmetry.order]
        if order != names:
            said.append(f"axes {', '.join(order)}")
        mirrored = [n for n, back in zip(names, self.symmetry.mirrored, strict=True) if back]
        if mirrored:
            said.append(f"mirrored in {', '.join(mirrored)}")
        return ", ".join(said) or "as it is"


class Augmenter:
    """Varies crops as a config says.

    It has no state: the same random numbers give the same crop, in any thread or process.

    Parameters
    ----------
    config
        What to do; lengths in nanometres (or voxels).
    unit
        Of the grid that all lengths here are counted in.
    voxel_size
        Of raw data, in grid steps.
    device
        Where crops are resampled, such as ``"cpu"`` or ``"cuda:0"``. Only CUDA cards do it
        themselves; for any other device it is done on the processor.
    """

    def __init__(
        self,
        config: AugmentationConfig,
        unit: WorldUnit,
        voxel_size: Coordinate,
        device: str = "cpu",
    ) -> None:
        self.config = config
        self.unit = unit
        self.voxel_size = voxel_size
        self.device = device if device.startswith("cuda") else "cpu"
        self._odds = SectionOdds(
            config.missing_sections,
            config.dark_sections,
            config.shifted_sections,
            config.shift * unit.steps,
        )

    def draw(
        self,
        random: np.random.Generator,
        input_size: Coordinate,
        alike: Sequence[Sequence[float]] = (),
    ) -> Augmentation:
        """Decide what happens to a crop.

        The same number of random numbers is drawn whatever the config says, and each kind of
        change has its own: switching one off leaves the others as they were.

        Parameters
        ----------
        random
            Of this crop.
        input_size
            Of the network's input, in grid steps.
        alike
            What must not change when axes are exchanged, beside voxel and input size: sequences
            with a value per axis, such as the output's size and voxel size.
        """
        turning, moving, cutting, shading = (
            np.random.default_rng(seed) for seed in random.integers(2**63, size=4)
        )
        config = self.config
        symmetry = Symmetry.random(
            turning,
            list(zip(self.voxel_size, input_size, *alike, strict=True)),
            mirror=config.mirror,
            transpose=config.transpose,
        )
        found = Augmentation(symmetry)
        if moving.random() < config.deform:
            found = self._deformed(found, moving, input_size)
        if len(input_size) == 3:
            sections, slips = self._odds.draw(cutting, input_size, self.voxel_size)
            if not sections.changes_nothing:
                found = replace(found, sections=sections)
            if slips:
                before = found.deformation or Deformation(as_matrix(np.eye(3)))
                axis = sections.axis
                found = replace(found, deformation=replace(before, section_axis=axis, slips=slips))
        intensity = Intensity.draw(shading, config.intensity, self.voxel_size)
        if not intensity.changes_nothing:
            found = replace(found, intensity=intensity)
        return found

    def _deformed(
        self, found: Augmentation, random: np.random.Generator, input_size: Coordinate
    ) -> Augmentation:
        """Add rotation, scaling and bending: in the plane of sections where they are thick."""
        config = self.config
        dims = len(input_size)
        thick = apart(self.voxel_size)
        angle = float(random.uniform(-config.rotation, config.rotation))
        factor = float(1 + random.uniform(-config.scaling, config.scaling))
        seed = int(random.integers(2**63))
        matrix = random_rotation(random, angle, dims, thick)
        # What is to be larger is read from a smaller region.
        matrix = matrix @ np.diag([1.0 if a == thick else 1 / factor for a in range(dims)])
        bending = None
        if config.elastic > 0:
            steps = self.unit.steps
            spread = [0.0 if a == thick else config.elastic * steps for a in range(dims)]
            bending = Bending.over(input_size, config.elastic_spacing * steps, spread, seed)
        deformation = Deformation(as_matrix(matrix), bending, section_axis(self.voxel_size))
        return replace(found, deformation=deformation, rotation=angle, scaling=factor)

    def source(self, deformation: Deformation, roi: Roi, about: Roi, voxel_size: Coordinate) -> Roi:
        """Tell which region `deform_raw` or `deform_labels` needs for a result.

        Parameters
        ----------
        deformation
            Of an `Augmentation`.
        roi
            Of the result.
        about
            The region whose middle stays in place, the same for raw and labels.
        voxel_size
            Of the array that is read.

        Returns
        -------
        Roi
            Whole voxels; it may reach beyond the data: read what there is of it
            (``source.intersect(array.roi)``), more does no harm.
        """
        return deformation.source(roi, about, voxel_size)

    def deform_raw(
        self, deformation: Deformation, raw: NumpyArray, roi: Roi, about: Roi
    ) -> NumpyArray:
        """Resample raw data linearly.

        Parameters
        ----------
        deformation, about
            As for `source`.
        raw
            Float32 with channels first, and as much of `source` as there is. Where it ends, it
            goes on as its mirror image.
        roi
            Of the result: the network's input.
        """
        return deformed_raw(deformation, raw, roi, about, self.device)

    def deform_labels(
        self, deformation: Deformation, arrays: Sequence[NumpyArray], roi: Roi, about: Roi
    ) -> list[NumpyArray]:
        """Resample ids and masks to the nearest voxel, every id exactly as it was.

        Parameters
        ----------
        deformation, about
            As for `source`.
        arrays
            On one grid and over one region: as much of `source` as there is; with channels
            or without. What lies outside of it becomes 0, so that a mask says unknown there.
        roi
            Of the results: the network's output and what its target needs around it.
        """
        return deformed_labels(deformation, arrays, roi, about, self.device)

    def vary(self, raw: NDArray[np.float32], augmentation: Augmentation) -> NDArray[np.float32]:
        """Change intensities and spoil sections; a copy, or raw itself where nothing changes.

        Parameters
        ----------
        raw
            Of shape ``(c, z, y, x)`` or ``(c, y, x)``, about -1 to 1, over the network's input;
            deformed already, not turned yet.
        """
        parts = [p for p in (augmentation.intensity, augmentation.sections) if p is not None]
        if not parts:
            return raw
        varied = np.array(raw, np.float32, order="C")
        for part in parts:
            part.apply(varied)
        return varied
