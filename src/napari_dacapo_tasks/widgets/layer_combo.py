"""A choice among a viewer's layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari
from napari.layers import Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.result_layers import is_result


class LayerCombo(QComboBox):
    """Offers the layers of some types, and follows what is added, removed, moved and renamed.

    Layers that this program made are not offered.

    Signals
    -------
    layerChanged(object)
        The chosen layer or None, when another one is chosen or the chosen one is removed.
    """

    layerChanged = Signal(object)

    def __init__(
        self,
        viewer: napari.Viewer,
        types: tuple[type[Layer], ...],
        *,
        accept: Callable[[Layer], bool] = lambda layer: True,
        none_text: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """Offer layers of ``types``.

        Parameters
        ----------
        accept
            Says of a layer of these types whether it is offered.
        none_text
            An entry for no layer, where that is fine.
        """
        super().__init__(parent)
        self._layers = viewer.layers
        self._types = types
        self._accept = accept
        self._none_text = none_text
        self._offered: list[Layer | None] = []
        self._chosen: Layer | None = None
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        for name in ("inserted", "removed", "reordered", "renamed"):
            connect_while_alive(self, getattr(viewer.layers.events, name), self._fill)
        self._fill()
        self.currentIndexChanged.connect(self._on_index)

    def layer(self) -> Layer | None:
        """Give the chosen layer."""
        return self._chosen

    def set_layer(self, layer: Layer | None) -> None:
        """Choose a layer; one that is not offered is ignored."""
        if layer in self._offered:
            self.setCurrentIndex(self._offered.index(layer))

    def _fill(self, _event: Any = None) -> None:
        offered: list[Layer | None] = [None] if self._none_text is not None else []
        # The uppermost layer first, as in napari's own list.
        offered += [
            layer
            for layer in reversed(self._layers)
            if isinstance(layer, self._types) and not is_result(layer) and self._accept(layer)
        ]
        names = [self._none_text if layer is None else layer.name for layer in offered]
        self._offered = offered
        blocked = self.blockSignals(True)
        self.clear()
        self.addItems(names)
        # A combo box with a placeholder would choose nothing by itself.
        self.setCurrentIndex(offered.index(self._chosen) if self._chosen in offered else 0)
        self.blockSignals(blocked)
        self._on_index(self.currentIndex())

    def _on_index(self, index: int) -> None:
        chosen = self._offered[index] if 0 <= index < len(self._offered) else None
        self.setToolTip("" if chosen is None else chosen.name)
        if chosen != self._chosen:  # behind a proxy, the same layer may be two objects
            self._chosen = chosen
            self.layerChanged.emit(chosen)
