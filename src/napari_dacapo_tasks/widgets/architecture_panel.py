"""The network: what is proposed for the data, and what a person makes of it."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array, GroundTruth
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.runs.fit import propose_architecture, propose_for_raw
from napari_dacapo_tasks.widgets.form import ConfigForm
from napari_dacapo_tasks.widgets.refusals import first_refusal
from napari_dacapo_tasks.widgets.section import Section, set_editable

HIDDEN = ("name", "fmaps_in", "eval_shape_increase")
"""Fields without a place in the form: a name for files, what the data decides, and prediction."""


class ArchitecturePanel(QWidget):
    """Edits a U-Net; what it says in one line is always in sight, the form on request.

    Signals
    -------
    valueChanged(object)
        The network, None while it is refused.
    """

    valueChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._raw: Array | None = None
        self._ground_truth: GroundTruth | None = None
        self._device = ""
        self._proposed: CNNectomeUNet | None = None
        self._edited = False
        self._parameters: int | None = None
        self.form = ConfigForm(CNNectomeUNet, hidden=HIDDEN, collapsed=CNNectomeUNet.sections)
        self._summary = QLabel()
        self._summary.setWordWrap(True)
        self.shape_buttons = [QPushButton(), QPushButton()]
        self._fits = QWidget()
        self.propose_button = QPushButton("Propose again")
        self.propose_button.setToolTip("Go back to a network that suits the raw data")

        fits = QHBoxLayout(self._fits)
        fits.setContentsMargins(0, 0, 0, 0)
        fits.addWidget(QLabel("Use"))
        for button in self.shape_buttons:
            fits.addWidget(button, 1)
            button.clicked.connect(self._use_shape)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.form)
        column.addWidget(self.propose_button)
        self.parameters = Section("Parameters of the network", inside, opened=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._summary)
        layout.addWidget(self._fits)
        layout.addWidget(self.parameters)

        for name in CNNectomeUNet.model_fields:
            if name not in HIDDEN:
                self.form.editor(name).changed.connect(self._on_edited)
        self.propose_button.clicked.connect(self.propose)
        self._describe()

    @property
    def summary(self) -> str:
        """What the line says."""
        return str(self._summary.text())

    def value(self) -> CNNectomeUNet | None:
        """Give the network, None while it is refused or there are no data for a proposal."""
        value = self.form.value() if self._proposed is not None else None
        assert value is None or isinstance(value, CNNectomeUNet)
        return value

    def refusal(self) -> str:
        """Why there is no value, as one sentence."""
        if self._proposed is None:
            return "There is no network yet: choose the raw data first."
        return first_refusal(self.form)

    def setValue(self, architecture: CNNectomeUNet) -> None:
        """Show a network."""
        if architecture == self.value():
            return
        self._edited = architecture != self._proposed
        self._proposed = self._proposed or architecture
        self._set(architecture)

    def setData(self, raw: Array | None, ground_truth: GroundTruth | None) -> None:
        """Take note of other data; a network that a person has not touched is proposed anew."""
        self._raw, self._ground_truth = raw, ground_truth
        self.propose_button.setEnabled(raw is not None)
        if raw is None:
            return
        value = self.value()
        fits = value is not None and value.dims == raw.dims
        if not fits or not self._edited:
            self.propose()
        else:
            self.form.setHiddenValues(fmaps_in=raw.num_channels or 1)

    def setDevice(self, device: str) -> None:
        """Take note of where it is trained; for a processor a lighter network is proposed."""
        if device != self._device:
            self._device = device
            if not self._edited:
                self.propose()

    def setParameters(self, count: int | None) -> None:
        """Say how many parameters the network has, once that is known."""
        self._parameters = count
        self._describe()

    def setEditable(self, editable: bool) -> None:
        """Allow or forbid to change anything; looking is always possible."""
        set_editable(self.form, editable)
        for widget in (self.propose_button, self._fits):
            widget.setEnabled(editable)

    def propose(self) -> None:
        """Show a network that suits the data."""
        if self._raw is not None:
            self._proposed = proposal(self._raw, self._ground_truth, self._device)
            self._edited = False
            self._set(self._proposed)

    def _set(self, architecture: CNNectomeUNet) -> None:
        self.form.setValue(architecture)
        self._tell()

    def _on_edited(self) -> None:
        self._edited = True
        self._tell()

    def _tell(self) -> None:
        self._parameters = None
        self._describe()
        self.valueChanged.emit(self.value())

    def _describe(self) -> None:
        value = self.value()
        shapes = [] if self._proposed is None or value is not None else self._nearest()
        self._fits.setVisible(bool(shapes))
        for button, shape in zip(self.shape_buttons, shapes, strict=False):
            button.setText(_by(shape))
            button.setProperty("shape", tuple(shape))
        self.shape_buttons[1].setVisible(len(shapes) > 1)
        if self._proposed is None:
            self._summary.setText("A network is proposed for the raw data once it is chosen.")
        elif shapes:
            self._summary.setText("The input shape does not fit this network; the nearest do:")
        elif value is None:
            self._summary.setText(self.refusal())
        else:
            answered = value.compute_output_shape(value.input_shape)
            said = (
                f"U-Net of {len(value.downsample_factors) + 1} levels: sees "
                f"{_by(value.input_shape)} voxels, answers for {_by(answered)}"
            )
            if self._parameters is not None:
                said += f"; {self._parameters:,} parameters"
            self._summary.setText(said)

    def _nearest(self) -> list[tuple[int, ...]]:
        """Give the nearest input shapes that fit, where all but the input shape is fine."""
        if set(self.form.refusals) != {"input_shape"}:
            return []
        values = {
            name: self.form.editor(name).value()
            for name in CNNectomeUNet.model_fields
            if name not in HIDDEN
        }
        shape = values.pop("input_shape")
        try:
            # Not validated: that would refuse the shape, and the arithmetic needs the rest only.
            smaller, larger = CNNectomeUNet.model_construct(
                input_shape=shape, **values
            ).nearest_valid_shapes(shape)
        except (ValueError, IndexError):  # another number of axes
            return []
        return list(dict.fromkeys(tuple(s) for s in (smaller, larger)))

    def _use_shape(self) -> None:
        shape = self.sender().property("shape")
        self.form.editor("input_shape").setValue(tuple(shape))
        self._on_edited()


def proposal(raw: Array, ground_truth: GroundTruth | None, device: str) -> CNNectomeUNet:
    """Propose a network for raw data, for ground truth that fits to it, and for a device."""
    if ground_truth is not None:
        try:
            return propose_architecture(raw, ground_truth, device)
        except UserError:
            pass  # told when training is to start
    return propose_for_raw(raw, raw.shape, device)


def _by(shape: Sequence[int]) -> str:
    return " × ".join(str(size) for size in shape)
