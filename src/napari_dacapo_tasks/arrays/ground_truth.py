"""From one labels array to the channels that a task learns, and to what is known of them."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from funlib.geometry import Roi
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from napari_dacapo_tasks.arrays.array import CHANNEL, Array, common_roi, on_common_grid
from napari_dacapo_tasks.arrays.numpy_array import NumpyArray
from napari_dacapo_tasks.errors import DataError


class Channel(BaseModel):
    """One channel of the ground truth: the objects that it is to show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="Name of the channel.")
    labels: tuple[int, ...] = Field(
        default=(), description="Label ids of the channel's objects; none means all objects."
    )

    @field_validator("labels")
    @classmethod
    def _ids_of_objects(cls, labels: tuple[int, ...]) -> tuple[int, ...]:
        if any(label < 1 for label in labels):
            raise ValueError(f"the label id {min(labels)} cannot be an object: ids start at 1")
        return labels

    def select(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Keep the ids of this channel, everything else becomes 0."""
        if not self.labels:
            return labels
        if len(self.labels) == 1:
            return np.asarray(labels == self.labels[0], np.uint8)
        # Ids of the array's own type, or NumPy compares as floats and ids above 2^53 meet.
        kind = np.iinfo(labels.dtype if labels.dtype.kind != "b" else np.uint8)
        wanted = [label for label in self.labels if kind.min <= label <= kind.max]
        chosen = np.isin(labels, np.array(wanted, labels.dtype))
        selected: NDArray[Any] = np.where(chosen, labels, labels.dtype.type(0))
        return selected


class LabelsConfig(BaseModel):
    """How a labels array is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[Channel, ...] = Field(default=(Channel(name="objects"),), min_length=1)
    zero_is_unlabelled: bool = Field(
        default=False, description="Voxels of label 0 are unknown rather than background."
    )
    ignore_label: int | None = Field(
        default=None, description="Voxels of this label are unknown, none means no such label."
    )

    @field_validator("channels")
    @classmethod
    def _names_differ(cls, channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
        names = [channel.name for channel in channels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two channels are named {twice[0]}: give each its own name")
        return channels

    @property
    def channel_names(self) -> list[str]:
        """Names of the channels, in order."""
        return [channel.name for channel in self.channels]


class GroundTruth:
    """Labels, what is known of them, and their channels.

    Parameters
    ----------
    labels
        Integer or bool ids without channels.
    config
        Channels and unknown labels.
    mask
        Nonzero where the labels are known, with the same voxels; outside of it nothing is known.
        Both come onto the finer of their grids.

    Raises
    ------
    DataError
        For float labels, labels with channels, or a mask that does not overlap.
    """

    def __init__(self, labels: Array, config: LabelsConfig, mask: Array | None = None) -> None:
        if labels.dtype.kind not in "biu":
            raise DataError(
                f"The ground truth holds numbers of type {labels.dtype}: labels must be whole "
                "numbers; convert the layer to labels first."
            )
        for array, what in ((labels, "The ground truth"), (mask, "The mask")):
            if array is not None and array.num_channels is not None:
                raise DataError(
                    f"{what} has {array.num_channels} channels: it must have spatial axes only."
                )
        if mask is not None:
            labels, mask = on_common_grid(labels, mask)
        self.labels = labels
        self.config = config
        self.mask = mask
        self._known_roi = labels.roi
        if mask is not None:
            self._known_roi = common_roi(
                labels, mask, first_name="The ground truth", second_name="the mask"
            )

    @property
    def roi(self) -> Roi:
        """The region where something can be known."""
        return self._known_roi

    def within(self, roi: Roi) -> GroundTruth:
        """Give the same ground truth known in a region only.

        Labels around the region can still be read, as what targets inside of it depend on.

        Raises
        ------
        DataError
            Where nothing can be known in the region.
        """
        kept = self._known_roi.intersect(roi)
        if kept.empty:
            raise DataError(
                f"The region {roi} lies outside of the known ground truth, which covers "
                f"{self._known_roi} ({self.labels.unit.name}): choose another region."
            )
        limited = copy(self)
        limited._known_roi = kept
        return limited

    def read(self, roi: Roi) -> tuple[NumpyArray, NumpyArray]:
        """Read the channels and the mask of a region.

        Returns
        -------
        gt
            Ids, of shape ``(channels, z, y, x)``; 0 is background.
        mask
            uint8 of shape ``(z, y, x)``; 1 where the labels are known.

        Raises
        ------
        DataError
            For negative labels, or a region outside of the labels.
        """
        labels = self.labels[roi]
        if labels.dtype.kind == "i" and labels.size:
            ignored = self.config.ignore_label
            negative = labels < 0 if ignored is None else (labels < 0) & (labels != ignored)
            if negative.any():
                raise DataError(
                    f"The ground truth holds the negative label {int(labels[negative].min())}: "
                    "labels start at 0; name it as the ignore id if it stands for unknown."
                )
        known = self._known(roi, labels)
        if self.config.ignore_label is not None:
            labels = np.where(labels == self.config.ignore_label, labels.dtype.type(0), labels)
        channels = [channel.select(labels) for channel in self.config.channels]
        # A single channel is not copied.
        stacked = channels[0][np.newaxis] if len(channels) == 1 else np.stack(channels)
        return (
            self._placed(stacked, (CHANNEL, *self.labels.axes), roi),
            self._placed(known, self.labels.axes, roi),
        )

    def _placed(self, values: NDArray[Any], axes: tuple[str, ...], roi: Roi) -> NumpyArray:
        return NumpyArray.from_np_array(values, roi, self.labels.voxel_size, axes, self.labels.unit)

    def _known(self, roi: Roi, labels: NDArray[Any]) -> NDArray[np.uint8]:
        shared = roi.intersect(self._known_roi)
        if shared == roi and self.mask is None:
            known = np.ones(labels.shape, np.uint8)
        else:
            known = np.zeros(labels.shape, np.uint8)
            if not shared.empty:
                inside = self._placed(known, self.labels.axes, roi)
                inside[shared] = (
                    np.ones(1, np.uint8) if self.mask is None else self.mask[shared] != 0
                )
        if self.config.zero_is_unlabelled:
            known &= labels != 0
        if self.config.ignore_label is not None:
            known &= labels != self.config.ignore_label
        return known
