"""What a job at a cluster may use, asked before a run is taken there."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from napari_dacapo_tasks.runs.cluster import ClusterConfig
from napari_dacapo_tasks.widgets.form import ConfigForm


class ClusterDialog(QDialog):
    """Edits a `ClusterConfig`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Take to cluster")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.form = ConfigForm(ClusterConfig)
        self.form.setValue(ClusterConfig())
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self.form)
        layout.addWidget(self.buttons)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.form.valueChanged.connect(self._on_value)

    def _on_value(self, config: ClusterConfig | None) -> None:
        button = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        button.setEnabled(config is not None)


def ask_for_cluster(parent: QWidget, then: Callable[[ClusterConfig], None]) -> ClusterDialog:
    """Ask what a job may use, and go on with that; nothing is held up meanwhile."""
    dialog = ClusterDialog(parent)
    dialog.accepted.connect(lambda: then(dialog.form.value()))
    dialog.open()
    return dialog
