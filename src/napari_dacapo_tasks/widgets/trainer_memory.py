"""One line that says how much memory training will need, found in the background."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel, QWidget

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.architectures.devices import GIGABYTE, Device
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.widgets.notices import ERROR_COLOUR
from napari_dacapo_tasks.widgets.workers import Job

SETTLED_MILLISECONDS = 400
"""So long after the last change it is estimated: a person may still be typing."""


def _estimated(
    architecture: CNNectomeUNet, task: TaskConfig, trainer: TrainerConfig
) -> Generator[None, None, int]:
    """Estimate the bytes of a step, in a thread: torch takes seconds to import."""
    yield
    from napari_dacapo_tasks.training.memory import memory_estimate

    return memory_estimate(architecture, task, trainer)


class MemoryLine(QLabel):
    """Says "Needs about 3.2 GB of 24 GB free on cuda:0"; red where that is too much."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setToolTip("Memory that training needs on the device, estimated from the network")
        self._asked: tuple[CNNectomeUNet, TaskConfig, TrainerConfig] | None = None
        self._told: tuple[CNNectomeUNet, TaskConfig, TrainerConfig] | None = None
        self._device: Device | None = None
        self._bytes: int | None = None
        self._job = Job(self)
        self._job.returned.connect(self._on_estimated)
        self._job.failed.connect(self._on_failed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLED_MILLISECONDS)
        self._timer.timeout.connect(self._start)
        self._say()

    def ask(
        self,
        architecture: CNNectomeUNet | None,
        task: TaskConfig | None,
        trainer: TrainerConfig | None,
        device: Device | None,
    ) -> None:
        """Take note of what is to be trained; the line follows in a moment."""
        self._device = device
        if architecture is None or task is None or trainer is None:
            self._timer.stop()
            self._job.stop()
            self._asked = self._told = self._bytes = None
        elif (architecture, task, trainer) != self._asked:
            self._asked = architecture, task, trainer
            self._timer.start()
        self._say()

    def _start(self) -> None:
        if self._asked is not None:
            self._job.start(partial(_estimated, *self._asked))

    def _on_estimated(self, estimate: int) -> None:
        self._bytes, self._told = estimate, self._asked
        self._say()

    def _on_failed(self, error: Exception) -> None:
        # What is wrong with the network or the task is said where it is entered.
        self._bytes = None
        self.setText("" if isinstance(error, UserError) else f"Memory is not known: {error}")
        self.setVisible(bool(self.text()))

    def _say(self) -> None:
        if self._bytes is None:
            self.hide()
            return
        needed = self._bytes / GIGABYTE
        said, too_much = f"Needs about {_rounded(needed)} GB", False
        if self._device is not None:
            free = self._device.free_memory / GIGABYTE
            said += f" of {_rounded(free)} GB free on {self._device.name}"
            too_much = needed > free
        if too_much:
            said += ": choose a smaller input shape, batch or network"
        self.setStyleSheet(f"color: {ERROR_COLOUR};" if too_much else "")
        self.setText(said)
        self.show()


def _rounded(gigabytes: float) -> str:
    return f"{gigabytes:.2g}" if gigabytes < 10 else f"{gigabytes:.0f}"
