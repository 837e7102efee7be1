"""Asks for a format and a place, and takes a trained network there."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.prediction.export import (
    FORMATS,
    Exported,
    FormatName,
    PackageDetails,
    export,
)
from napari_dacapo_tasks.prediction.trained import Checkpoint, open_trained
from napari_dacapo_tasks.widgets.form import ConfigForm
from napari_dacapo_tasks.widgets.notices import Notice
from napari_dacapo_tasks.widgets.refusals import first_refusal
from napari_dacapo_tasks.widgets.workers import Job

WIDTH = 480
SHARES = 1000
PACKAGE: FormatName = "bioimageio"


class ExportDialog(QDialog):
    """Exports one network, perhaps in several formats; it holds up nothing else.

    Parameters
    ----------
    model, checkpoint
        As of `open_trained`.
    raw
        An image to show what the network answers, None for none.
    """

    def __init__(
        self, model: Path, checkpoint: Checkpoint, raw: Array | None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Take {model.name} elsewhere")
        self._model, self._checkpoint, self._raw = model, checkpoint, raw
        self._by_person = False
        self.format_combo = QComboBox()
        for name, one in FORMATS.items():
            self.format_combo.addItem(one.title, name)
        self._description = QLabel()
        self._description.setWordWrap(True)
        self.line = QLineEdit()
        self.browse_button = QPushButton("Browse…")
        self.details = ConfigForm(PackageDetails)
        self.details.setValue(PackageDetails())
        self.notice = Notice()
        self.bar = QProgressBar()
        self.bar.setRange(0, SHARES)
        self.bar.hide()
        self.export_button = QPushButton("Export")
        self.export_button.setDefault(True)
        self.close_button = QPushButton("Close")
        place = QHBoxLayout()
        place.addWidget(self.line, 1)
        place.addWidget(self.browse_button)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Format", self.format_combo)
        form.addRow(self._description)
        form.addRow("Goes to", place)
        buttons = QHBoxLayout()
        buttons.addWidget(self.bar, 1)
        buttons.addStretch(1)
        buttons.addWidget(self.export_button)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.details)
        layout.addWidget(self.notice)
        layout.addStretch(1)
        layout.addLayout(buttons)
        self.resize(WIDTH, self.sizeHint().height())

        self._job = Job(self)
        self._job.yielded.connect(self._on_share)
        self._job.returned.connect(self._on_returned)
        self._job.failed.connect(self._on_failed)
        self._job.stopped.connect(self._show_idle)
        self.format_combo.currentIndexChanged.connect(self._on_format)
        self.line.textEdited.connect(self._on_typed)
        self.browse_button.clicked.connect(self._browse)
        self.export_button.clicked.connect(self.start)
        self.close_button.clicked.connect(self._on_close)
        self._on_format()

    @property
    def busy(self) -> bool:
        """Whether it is being exported."""
        return self._job.running

    def format(self) -> FormatName:
        """Give the chosen format."""
        name: FormatName = self.format_combo.currentData()
        return name

    def setFormat(self, name: FormatName) -> None:
        """Choose a format."""
        self.format_combo.setCurrentIndex(self.format_combo.findData(name))

    def setPath(self, path: str | Path) -> None:
        """Choose a place."""
        self._by_person = True
        self.line.setText(str(path))

    def start(self) -> None:
        """Export, in the background."""
        self.notice.clear()
        text = self.line.text().strip()
        details = self.details.value() if self.format() == PACKAGE else PackageDetails()
        if not text:
            self.notice.show_error(DataError("There is no place: enter a file or folder to make."))
        elif details is None:
            self.notice.show_error(DataError(first_refusal(self.details)))
        else:
            path = Path(text).expanduser().absolute()
            self._show_busy()
            self._job.start(
                partial(
                    _exported,
                    self._model,
                    self._checkpoint,
                    path,
                    self.format(),
                    self._raw,
                    details,
                )
            )

    def end(self) -> None:
        """Stop what goes on and wait until it has cleaned up."""
        self._job.end()

    def closeEvent(self, event: Any) -> None:
        """Leave nothing half done."""
        self._job.stop()
        super().closeEvent(event)

    def _on_close(self) -> None:
        if self._job.running:
            self._job.stop()
        else:
            self.close()

    def _on_format(self, _index: int = 0) -> None:
        chosen = FORMATS[self.format()]
        self._description.setText(chosen.description)
        self.details.setVisible(self.format() == PACKAGE)
        path = Path(self.line.text().strip()) if self._by_person else self._model
        known = [one.suffix for one in FORMATS.values() if one.suffix]
        name = path.name
        for suffix in known:
            name = name.removesuffix(suffix)
        if not self._by_person:
            name = f"{name}_{self.format()}" if not chosen.suffix else name
        self.line.setText(str(path.with_name(f"{name}{chosen.suffix}")))

    def _on_typed(self) -> None:
        self._by_person = True

    def _browse(self) -> None:
        suffix = FORMATS[self.format()].suffix
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Export", self.line.text(), f"*{suffix}" if suffix else ""
        )
        if chosen:
            self.setPath(chosen if chosen.endswith(suffix) else f"{chosen}{suffix}")

    def _on_share(self, share: float | None) -> None:
        if share is not None:
            self.bar.setValue(round(share * SHARES))

    def _on_returned(self, exported: Exported) -> None:
        self._show_idle()
        self.notice.show_info(" ".join([f"Exported to {exported.path}.", *exported.notices]))

    def _on_failed(self, error: Exception) -> None:
        self._show_idle()
        self.notice.show_error(error)

    def _show_busy(self) -> None:
        self.bar.setValue(0)
        self.bar.show()
        self.close_button.setText("Cancel")
        self._allow(False)

    def _show_idle(self) -> None:
        self.bar.hide()
        self.close_button.setText("Close")
        self._allow(True)

    def _allow(self, idle: bool) -> None:
        for widget in (self.format_combo, self.line, self.browse_button, self.details):
            widget.setEnabled(idle)
        self.export_button.setEnabled(idle)


def _exported(
    model: Path,
    checkpoint: Checkpoint,
    path: Path,
    format: FormatName,
    raw: Array | None,
    details: PackageDetails,
) -> Generator[float | None, None, Exported]:
    yield None
    trained = open_trained(model, checkpoint)
    test = None
    if raw is not None and format == PACKAGE and raw.dims == trained.architecture.dims:
        test = raw
    return (yield from export(trained, path, format, test_raw=test, details=details))
