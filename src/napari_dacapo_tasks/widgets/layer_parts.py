"""What is to be a layer: a channel of an array, all of them, or a picture of several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.widgets.colormaps import Range, channel_colours, class_look
from napari_dacapo_tasks.widgets.layers import LayerGeometry
from napari_dacapo_tasks.widgets.pictures import Picture

MOST_SEPARATE_CHANNELS = 4
"""Up to so many channels are a layer each; more are one layer with a slider."""

MAP_OPACITY = 0.75
"""Of a map of classes, beneath which one wants to see the raw data."""


@dataclass(frozen=True)
class Part:
    """An array among those that are shown together.

    Attributes
    ----------
    kind
        What it is, such as ``"target"``; begins the names of its layers.
    array
        Of the shape ``(c, z, y, x)``.
    channels
        A name for each channel, empty where there is nothing to say of it.
    ranges
        Lowest and highest value of each channel.
    look
        Gives the options of a layer for a range of values.
    first
        Which of the channels that all parts share the array's first one is, None where its
        channels are no part of these.
    pictures
        Of several channels at once.
    opacity
        Of channels and coloured pictures at first.
    visible
        Whether it is seen at first.
    """

    kind: str
    array: Array
    channels: Sequence[str]
    ranges: Sequence[Range]
    look: Callable[[Range], Mapping[str, Any]]
    first: int | None = 0
    pictures: Sequence[Picture] = ()
    opacity: float = 1.0
    visible: bool = True

    def channel(self, index: int) -> Any:
        """Give the values of one channel."""
        return self.array.data[index]


@dataclass(frozen=True)
class Entry:
    """What one layer shows: a channel, a picture, or (with neither) all channels of its part."""

    part: Part
    values: Any
    look: Mapping[str, Any]
    channel: int | None = None
    picture: Picture | None = None

    @property
    def key(self) -> str:
        """Tells it from the others, and stays the same from one array to the next."""
        if self.picture is not None:
            return f"{self.part.kind} picture {self.picture.name}"
        return f"{self.part.kind} {'all' if self.channel is None else self.channel}"

    @property
    def has_slider(self) -> bool:
        """Whether its channels lie along an axis of the layer."""
        return self.channel is None and self.picture is None

    @property
    def kind(self) -> str:
        """Kind of its layer."""
        is_map = self.picture is not None and self.picture.composite.exclusive
        return "labels" if is_map else "image"

    @property
    def is_coloured(self) -> bool:
        """Whether its values are colours."""
        return bool(self.look.get("rgb"))

    def name(self, shown: int) -> str:
        """Give the layer's name while a channel is shown."""
        if self.picture is not None:
            return f"{self.part.kind}: {self.picture.name}"
        if self.has_slider and self.part.first is None:
            return self.part.kind
        of = (shown if self.channel is None else self.channel) - (self.part.first or 0)
        channel = self.part.channels[of] if 0 <= of < len(self.part.channels) else ""
        return f"{self.part.kind}: {channel}" if channel else self.part.kind

    def place(self, geometry: LayerGeometry) -> dict[str, Any]:
        """Give the place of all axes from that of the spatial ones."""
        place = geometry.layer_options(channels=self.has_slider)
        if self.has_slider:
            place["translate"] = (float(self.part.first or 0), *place["translate"][1:])
        return place


def entries_of(part: Part, with_slider: bool) -> Iterator[Entry]:
    """Give what is to be a layer of its own, the lowest first."""
    count = len(part.channels)
    if part.first is None:
        with_slider = count > MOST_SEPARATE_CHANNELS
    if with_slider:
        low_high = min(low for low, _ in part.ranges), max(high for _, high in part.ranges)
        yield Entry(part, part.array.data, _channel_look(part, low_high))
    else:
        for index in range(count):
            look = _channel_look(part, part.ranges[index])
            values = part.channel(index)
            yield Entry(part, values, look, channel=(part.first or 0) + index)
    for picture in reversed(part.pictures):
        yield Entry(part, picture.values, _picture_look(part, picture), picture=picture)


def _channel_look(part: Part, low_high: Range) -> dict[str, Any]:
    return {"opacity": part.opacity, **part.look(low_high)}


def _picture_look(part: Part, picture: Picture) -> dict[str, Any]:
    if not picture.composite.exclusive:
        full = 255 if picture.values.dtype == np.uint8 else 1
        return {
            "rgb": True,
            "contrast_limits": (0, full),
            "opacity": part.opacity,
            "rendering": "attenuated_mip",  # where all colours are full, others would all be white
        }
    chosen = picture.composite.channels
    names = [part.channels[index] for index in chosen]
    colours = channel_colours(len(part.channels), [one.composite for one in part.pictures])
    look = class_look(names, [colours[index] for index in chosen])
    return {**look, "opacity": MAP_OPACITY}
