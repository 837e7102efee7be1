"""Arrays with channels as layers: a layer each, or one with a slider, and pictures of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import napari
from napari.layers import Layer
from qtpy.QtCore import QObject, Signal

from napari_dacapo_tasks.widgets.layer_parts import (
    MOST_SEPARATE_CHANNELS,
    Entry,
    Part,
    entries_of,
)
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.result_layers import Anchor, ResultLayers


class ChannelLayers(QObject):
    """The layers of several arrays that share channels, in step with each other.

    They are updated in place and keep what the person has set on them. Layers that were removed
    come back with the next arrays; those that an earlier dock has left are taken over.

    Parameters
    ----------
    viewer
        Where they are shown.
    kind
        A name for all of them, as of `ResultLayers`.
    suffix
        Ends the names of all layers.

    Signals
    -------
    channelShown(int)
        Which channel is seen now.
    """

    channelShown = Signal(int)

    def __init__(
        self, viewer: napari.Viewer, kind: str, suffix: str = "", parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._suffix = suffix
        self._layers = ResultLayers(viewer, kind)
        self._entries: dict[str, Entry] = {}
        self._channels: list[str] = []
        self._shown = 0
        self._busy = False
        self._waiting: set[str] = set()
        connect_while_alive(self, viewer.dims.events.point, self._on_slider)

    def show_parts(self, parts: Sequence[Part], channels: Sequence[str], anchor: Anchor) -> None:
        """Put arrays into layers.

        Parameters
        ----------
        parts
            What to show, the lowest first.
        channels
            Names of the channels that they share.
        anchor
            Gives the place of arrays.
        """
        was_shown, seen, pictured = self._shown, self._seen(), self._pictured()
        self._keep_channel(list(channels))
        with_slider = len(channels) > MOST_SEPARATE_CHANNELS or any(p.pictures for p in parts)
        entries = [one for part in parts for one in entries_of(part, with_slider)]
        self._note_unseen(parts, entries)
        wanted = {one.key: (one.values, one.kind, one.is_coloured) for one in entries}
        had_slider = self._slider() is not None
        self._busy = True  # on the way from one set of layers to the next the slider means nothing
        try:
            with self._layers.drawn_once(wanted):
                self._put(entries, anchor)
        finally:
            self._busy = False
        for entry, layer in self._present():
            if entry.has_slider and entry.part.kind in pictured and not entry.part.pictures:
                layer.visible = True  # in place of the pictures
        if self._shown != was_shown:
            # Among the layers that stay is that of another channel.
            self._waiting |= seen & {part.kind for part in parts}
            self._see(self._shown)
        # Others may have layers along the same slider: it is left where it need not move.
        if self._shown != was_shown or not (had_slider or self._shown == 0):
            self._move_slider(self._shown)
        self._on_slider()
        self._rename()
        self.channelShown.emit(self._shown)

    def show_channel(self, index: int) -> None:
        """Let one channel be seen in place of others and of pictures of several."""
        pictured = self._pictured()
        for entry, layer in self._present():
            if entry.picture is not None:
                layer.visible = False
            elif entry.has_slider and entry.part.kind in pictured:
                layer.visible = True
        self._see(index)
        self._move_slider(index)
        self._tell(index)

    def show_picture(self, index: int) -> None:
        """Let one picture of each part be seen in place of others and of single channels."""
        for entry, layer in self._present():
            pictures = entry.part.pictures
            if pictures:
                layer.visible = entry.picture is pictures[index]

    def _put(self, entries: Sequence[Entry], anchor: Anchor) -> None:
        """Show these layers, and no others."""
        before = None
        for entry in entries:
            place = entry.place(anchor.place(entry.part.array))
            look = {**entry.look, "visible": self._is_seen_at_first(entry)}
            self._layers.show(
                entry.key,
                self._name(entry),
                entry.values,
                place,
                look,
                kind=entry.kind,
                above=before,
            )
            before = entry.key
        self._entries = {entry.key: entry for entry in entries}
        self._layers.keep_only(self._entries)

    def _present(self) -> Iterator[tuple[Entry, Layer]]:
        """Give what is shown in layers that are in the viewer now."""
        for key, entry in self._entries.items():
            layer = self._layers.layer(key)
            if layer is not None:
                yield entry, layer

    def _keep_channel(self, channels: list[str]) -> None:
        """Go on with the channel of the same name, or else in the same place, where there is."""
        before, self._channels = self._channels, channels
        name = before[self._shown] if before else ""
        if name in channels:
            self._shown = channels.index(name)
        elif len(channels) != len(before):
            self._shown = 0

    def _is_seen_at_first(self, entry: Entry) -> bool:
        if not entry.part.visible or entry.part.pictures:
            return entry.part.visible and entry.picture is entry.part.pictures[0]
        # Channels upon each other cannot be told apart.
        chosen = 0 if entry.part.first is None else self._shown
        return entry.channel in (None, chosen)

    def _note_unseen(self, parts: Sequence[Part], entries: Sequence[Entry]) -> None:
        """Note which new parts are to be seen with the first channel for which they are."""
        there = {e.part.kind for e in entries if self._layers.layer(e.key) is not None}
        seen = {entry.part.kind for entry in entries if self._is_seen_at_first(entry)}
        kinds = {part.kind for part in parts if part.visible}
        self._waiting = (self._waiting & kinds) | (kinds - there - seen)

    def _see(self, index: int) -> None:
        """Let the layers of one channel be seen in place of those of others."""
        seen = self._seen() | self._waiting
        # A kind that has nothing for this channel is seen again with the next for which it has.
        self._waiting = set(seen)
        for entry, layer in self._separate():
            layer.visible = entry.part.kind in seen and entry.channel == index
            if entry.channel == index:
                self._waiting.discard(entry.part.kind)

    def _separate(self) -> list[tuple[Entry, Layer]]:
        """Give the layers that show one of the channels that all parts share."""
        return [
            (entry, layer)
            for entry, layer in self._present()
            if entry.channel is not None and entry.part.first is not None
        ]

    def _pictured(self) -> set[str]:
        """Give the kinds of which a picture is seen."""
        return {e.part.kind for e, layer in self._present() if e.picture and layer.visible}

    def _seen(self) -> set[str]:
        """Give the kinds of which a channel is seen."""
        return {entry.part.kind for entry, layer in self._separate() if layer.visible}

    def _slider(self) -> int | None:
        """Give the viewer's axis of the channels."""
        for entry, layer in self._present():
            if entry.has_slider and entry.part.first is not None:
                return int(self._viewer.dims.ndim - layer.ndim)
        return None

    def _move_slider(self, index: int) -> None:
        axis = self._slider()
        if axis is not None and round(self._viewer.dims.point[axis]) != index:
            self._viewer.dims.set_point(axis, float(index))

    def _on_slider(self, _event: Any = None) -> None:
        axis = None if self._busy else self._slider()
        if axis is not None:
            index = round(float(self._viewer.dims.point[axis]))
            self._tell(min(max(index, 0), len(self._channels) - 1))

    def _tell(self, index: int) -> None:
        """Name the channel that is seen in the names of layers with a slider, and tell it."""
        if index != self._shown:
            self._shown = index
            self._rename()
            self.channelShown.emit(index)

    def _name(self, entry: Entry) -> str:
        return f"{entry.name(self._shown)} {self._suffix}".strip()

    def _rename(self) -> None:
        """Name layers after what they show, unless the person has named them."""
        for key, entry in self._entries.items():
            self._layers.rename(key, self._name(entry))
