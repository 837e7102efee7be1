"""A choice among the devices of this machine."""

from __future__ import annotations

from collections.abc import Generator
from importlib import import_module

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QWidget

from napari_dacapo_tasks.architectures.devices import AUTO, Device, available_devices
from napari_dacapo_tasks.widgets.workers import Job


def _found() -> Generator[None, None, list[Device]]:
    """Look for devices, in a thread: torch takes seconds to import.

    What training needs besides is imported as well, so that a start is not held up by it.
    """
    yield
    import_module("napari_dacapo_tasks.training.loop")
    return available_devices()


class DeviceCombo(QWidget):
    """Every CUDA device, MPS and CPU, with name and free memory.

    It looks for them in the background. A device that was asked for and is not on this machine
    stays chosen, and says so: nothing else is taken in its place.

    Signals
    -------
    valueChanged(str)
        The name of the chosen device; empty while none is known.
    failed(object)
        The exception of a search that failed.
    """

    valueChanged = Signal(str)
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._devices: list[Device] = []
        self._wanted = AUTO
        self._said = ""
        self._box = QComboBox()
        self._box.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._box.setMinimumContentsLength(10)
        self._box.currentIndexChanged.connect(self._on_index)
        self._refresh = QToolButton()
        self._refresh.setText("↻")
        self._refresh.setToolTip("Look for devices again")
        self._refresh.clicked.connect(self.refresh)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box, 1)
        layout.addWidget(self._refresh)
        self._job = Job(self)
        self._job.returned.connect(self._on_found)
        self._job.failed.connect(self._on_failed)
        self.refresh()

    def value(self) -> str:
        """Give the name of the chosen device, such as ``cuda:0``; empty while none is known."""
        return str(self._box.currentData() or "")

    def device(self) -> Device | None:
        """Give the chosen device; None where this machine does not have it, or none is known."""
        return next((one for one in self._devices if one.name == self.value()), None)

    @property
    def available(self) -> bool:
        """Whether this machine has the chosen device."""
        return self.device() is not None

    def setValue(self, name: str) -> None:
        """Choose a device by its name; ``auto`` is the first."""
        self._wanted = name
        if not self._job.running:
            self._fill()

    def refresh(self) -> None:
        """Look for devices again."""
        self._wanted = self.value() or self._wanted
        self._box.blockSignals(True)
        self._box.clear()
        self._box.addItem("looking for devices…", "")
        self._box.blockSignals(False)
        self._box.setEnabled(False)
        self._refresh.setEnabled(False)
        self._tell()
        self._job.start(_found)

    def _on_found(self, devices: list[Device]) -> None:
        self._devices = devices
        self._box.setEnabled(True)
        self._refresh.setEnabled(True)
        self._fill()

    def _on_failed(self, error: Exception) -> None:
        self._on_found([])
        self.failed.emit(error)

    def _fill(self) -> None:
        self._box.blockSignals(True)
        self._box.clear()
        for device in self._devices:
            self._box.addItem(device.label, device.name)
        names = [device.name for device in self._devices]
        if self._wanted != AUTO and self._wanted not in names:
            self._box.addItem(f"{self._wanted} (not on this machine)", self._wanted)
            names.append(self._wanted)
        self._box.setCurrentIndex(0 if self._wanted == AUTO else names.index(self._wanted))
        self._box.blockSignals(False)
        self._tell()

    def _on_index(self) -> None:
        self._wanted = self.value()
        self._tell()

    def _tell(self) -> None:
        self._box.setToolTip(self._box.currentText())
        if self.value() != self._said:
            self._said = self.value()
            self.valueChanged.emit(self._said)
