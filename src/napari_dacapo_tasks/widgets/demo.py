"""The main job on the built-in sample: preview a task, train it, predict, segment, score.

It presses the docks' own buttons, so what it shows is what a person gets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Channel, LabelsConfig
from napari_dacapo_tasks.errors import RunError
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig, ValidationConfig
from napari_dacapo_tasks.samples import ORGANELLES
from napari_dacapo_tasks.tasks.evaluators.evaluator import Scores
from napari_dacapo_tasks.widgets.predict_controls import State as PredictState
from napari_dacapo_tasks.widgets.predict_dock import PredictDock
from napari_dacapo_tasks.widgets.region_panel import VOXELS
from napari_dacapo_tasks.widgets.run_controls import State
from napari_dacapo_tasks.widgets.run_folder_panel import free_folder
from napari_dacapo_tasks.widgets.task_dock import TaskDock
from napari_dacapo_tasks.widgets.train_dock import TrainDock

Dock = TaskDock | TrainDock | PredictDock

PLUGIN = "napari-dacapo-tasks"
WINDOW = (1560, 960)
"""Fits the usual laptop, and the screen that is drawn into memory."""

LABELS = LabelsConfig(channels=(Channel(name="mito", labels=(ORGANELLES["mitochondrion"],)),))

NETWORK = CNNectomeUNet(
    name="small_unet",
    input_shape=(48, 48, 48),
    num_fmaps=8,
    fmaps_out=8,
    fmap_inc_factor=2,
    downsample_factors=[(2, 2, 2), (2, 2, 2)],
    padding="same",
)
"""Small enough to learn on a laptop's processor while somebody watches."""

ITERATIONS = 450
LEARNING_RATE = 2e-3
BATCH_SIZE = 2
"""With a single small crop torch takes a convolution that is several times slower."""

COMPARED_STEPS = 20
"""Steps at the start and at the end over which the loss is averaged to say what was learned."""

LEARNED = 0.6
"""Share of the first loss that the last one is clearly below."""

SHOWN_SHARE = 0.75
"""Share of the canvas that a crop fills when it is looked at; around it is its raw data."""

PREVIEW_SECONDS, TRAINING_SECONDS, PREDICTING_SECONDS = 120, 1800, 600
"""After so long something must have gone wrong."""


@dataclass(frozen=True)
class DemoResult:
    """What came of it.

    Attributes
    ----------
    run_folder
        The run, to go on with.
    first_loss, last_loss
        Averages over the first and the last steps.
    scores
        Of the segmentation of the whole volume, by channel and criterion.
    screenshots
        Pictures of the whole window, in the order in which they were taken.
    """

    run_folder: Path
    first_loss: float
    last_loss: float
    scores: Scores
    screenshots: tuple[Path, ...] = ()

    @classmethod
    def of(cls, run_folder: Path, scores: Scores, screenshots: tuple[Path, ...] = ()) -> DemoResult:
        """Read what a run has learned."""
        losses = [one.loss for one in RunFolder.open(run_folder).statistics()]
        first, last = losses[:COMPARED_STEPS], losses[-COMPARED_STEPS:]
        return cls(run_folder, sum(first) / len(first), sum(last) / len(last), scores, screenshots)


def run_demo(screenshots: Path | None = None, iterations: int = ITERATIONS) -> DemoResult:
    """Preview, train, predict, segment and score, in a window of its own.

    Parameters
    ----------
    screenshots
        Folder for pictures of the window, which is closed then; by default it stays open.
    iterations
        Steps of training.

    Raises
    ------
    RunError
        When it takes too long, or nothing was learned in the usual number of steps.
    """
    taken: list[Path] = []
    demo = Demo()

    def picture(name: str) -> None:
        if screenshots is not None:
            taken.append(demo.screenshot(screenshots / f"{len(taken) + 1}-{name}.png"))

    try:
        demo.preview()
        picture("preview")
        folder = free_folder("demo")
        demo.start(folder, iterations)
        demo.wait(lambda: demo.shown("prediction"), TRAINING_SECONDS, "a snapshot", demo.train_dock)
        picture("training")
        demo.wait_for_training()
        for name in ("target", "prediction"):
            demo.look_at_snapshot(name)
            picture(name)
        demo.predict(folder)
        demo.segment()
        demo.look_at("segmentation")
        picture("segmentation")
        scores = demo.score()
        picture("scores")
        result = DemoResult.of(folder, scores, tuple(taken))
        if iterations >= ITERATIONS and result.last_loss > LEARNED * result.first_loss:
            raise RunError(
                f"The demo learned too little: its loss went from {result.first_loss:.3g} to "
                f"{result.last_loss:.3g}."
            )
    except BaseException:
        demo.close()
        raise
    if screenshots is None:
        napari.run()
    else:
        demo.close()
    return result


class Demo:
    """A napari window with all docks, driven step by step.

    Parameters
    ----------
    sample
        Whether the built-in sample is opened.
    """

    def __init__(self, *, sample: bool = True) -> None:
        self.viewer = napari.Viewer(title="napari-dacapo-tasks")
        window: Any = self.viewer.window
        window.resize(*WINDOW)
        if sample:
            self.viewer.open_sample(PLUGIN, "cells-3d")
        _, self.task_dock = self._dock("Task")
        _, self.train_dock = self._dock("Train")
        _, self.predict_dock = self._dock("Predict")
        self.train_dock.forget()
        self.predict_dock.forget()

    def preview(self, layer: str = "organelles", labels: LabelsConfig = LABELS) -> None:
        """Choose ground truth and channels, and wait for the preview of the whole volume."""
        dock = self.task_dock
        panel = dock.ground_truth
        panel.channels.setValue(labels)
        panel.labels_combo.set_layer(self.viewer.layers[layer])
        bring_forward(dock)
        self.wait(
            lambda: self.shown("target") and not dock.live.running,
            PREVIEW_SECONDS,
            "the preview",
            dock,
        )
        for name in ("cells", "organelles"):
            self.viewer.layers[name].visible = False

    def start(self, folder: Path, iterations: int = ITERATIONS) -> None:
        """Start to train a small network."""
        dock = self.train_dock
        dock.data.raw_combo.set_layer(self.viewer.layers["raw"])
        bring_forward(dock)
        self.wait(lambda: bool(dock.trainer.device.value()), PREVIEW_SECONDS, "the devices", dock)
        dock.data.table.form.block.box.setChecked(True)  # part of the volume validates
        dock.architecture.setValue(NETWORK)
        often = max(iterations // 8, 1)
        dock.trainer.setValue(
            TrainerConfig(
                iterations=iterations,
                learning_rate=LEARNING_RATE,
                batch_size=BATCH_SIZE,
                snapshot_interval=often,
                validation=ValidationConfig(interval=often),
                checkpoint_interval=max(iterations // 2, 1),
                device=dock.trainer.device.value(),
            )
        )
        dock.folder.setPath(folder)
        start = dock.controls.start_button
        self.wait(start.isEnabled, PREVIEW_SECONDS, "the run folder", dock)
        start.click()

    def wait_for_training(self) -> None:
        """Wait until the run is done."""
        dock = self.train_dock
        self.wait(lambda: dock.state is State.IDLE, TRAINING_SECONDS, "training", dock)

    def look_at_snapshot(self, name: str = "prediction") -> None:
        """Show one layer of the snapshot over its raw data, at the slice with most objects."""
        shown = self.shown(name, "(snapshot)")
        assert shown is not None, "training ends with a snapshot"
        for layer in self.viewer.layers:
            layer.visible = layer is shown or layer.name == "raw"
        self.viewer.reset_view()
        whole, part = self.viewer.layers["raw"].extent.world, shown.extent.world
        middle = part.mean(axis=0)
        truth = np.asarray(self.shown("target", "(snapshot)").data)
        richest = int((truth > 0).sum(axis=(1, 2)).argmax())
        middle[0] = shown.data_to_world((richest, 0, 0))[0]
        self.viewer.dims.point = middle
        camera = self.viewer.scene.camera
        camera.center = middle
        camera.zoom *= SHOWN_SHARE * (whole[1] - whole[0]).max() / (part[1] - part[0]).max()

    def predict(self, run: Path, raw: str = "raw", voxels: str = "") -> None:
        """Predict an image, or some of its voxels, with the best network of a run."""
        dock, tab = self.predict_dock, self.predict_dock.predict
        self.look_at_tab(tab)
        tab.model.setModel(run)
        tab.image.layer_combo.set_layer(self.viewer.layers[raw])
        if voxels:
            tab.region.voxels_line.setText(voxels)
            tab.region.kind_combo.setCurrentIndex(VOXELS)
        start = tab.controls.start_button
        self.wait(lambda: tab.planned and start.isEnabled(), PREVIEW_SECONDS, "the plan", dock)
        start.click()
        self.wait(
            lambda: tab.state is PredictState.IDLE and dock.session.prediction is not None,
            PREDICTING_SECONDS,
            "the prediction",
            dock,
        )

    def segment(self, ask: Callable[[], object] | None = None) -> None:
        """Segment all of the prediction, as the Segment tab proposes or ``ask`` does."""
        dock, tab = self.predict_dock, self.predict_dock.segment
        self.look_at_tab(tab)
        before = dock.session.segmentation
        (ask or tab.segment_all)()
        self.wait(
            lambda: dock.session.segmentation is not before and not tab.running,
            PREDICTING_SECONDS,
            "the segmentation",
            dock,
        )

    def score(self) -> Scores:
        """Score the segmentation against the ground truth of the Task dock, and give the scores."""
        dock, tab = self.predict_dock, self.predict_dock.score
        self.look_at_tab(tab)
        before = tab.evaluation
        tab.score()
        self.wait(lambda: tab.evaluation is not before, PREDICTING_SECONDS, "the scores", dock)
        evaluation = tab.evaluation
        assert evaluation is not None
        return evaluation.scores

    def sweep(self, **values: str) -> None:
        """Try what the Sweep tab proposes, or these values of parameters."""
        dock, tab = self.predict_dock, self.predict_dock.sweep
        self.look_at_tab(tab)
        for name, text in values.items():
            tab.ranges.lines[name].edit.setText(text)
        tab.start()
        self.wait(
            lambda: tab.result is not None and not tab.running,
            TRAINING_SECONDS,
            "the sweep",
            dock,
        )

    def look_at(self, name: str, raw: str = "raw") -> None:
        """Show the layers of one name over the whole raw data."""
        for layer in self.viewer.layers:
            layer.visible = layer.name == raw or layer.name.startswith(name)
        self.viewer.reset_view()

    def look_at_tab(self, tab: Any) -> None:
        """Bring a tab of the Predict dock in front."""
        bring_forward(self.predict_dock)
        self.predict_dock.tabs.setCurrentWidget(tab)

    def shown(self, name: str, suffix: str = "") -> Any:
        """Give the first layer whose name begins and ends so, or None."""
        names = (layer for layer in self.viewer.layers if layer.name.startswith(name))
        return next((layer for layer in names if layer.name.endswith(suffix)), None)

    def screenshot(self, path: Path) -> Path:
        """Take a picture of the whole window."""
        self.settle()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        return path

    def settle(self, seconds: float = 0.5) -> None:
        """Let the window draw what has changed."""
        end = monotonic() + seconds
        while monotonic() < end:
            QApplication.processEvents()
            sleep(0.01)

    def wait(
        self,
        done: Callable[[], object],
        seconds: float,
        what: str,
        dock: Dock,
    ) -> None:
        """Keep the window alive until something is done.

        Raises
        ------
        RunError
            When the dock shows an error, or it takes too long.
        """
        end = monotonic() + seconds
        while not done():
            if monotonic() > end:
                raise RunError(f"The demo waited {seconds:g} s for {what}, and gave up.")
            if dock.notice.is_error:
                raise RunError(dock.notice.text)
            QApplication.processEvents()
            sleep(0.01)

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()

    def _dock(self, name: str) -> tuple[Any, Any]:
        made: tuple[Any, Any] = self.viewer.window.add_plugin_dock_widget(PLUGIN, name, tabify=True)
        return made


def bring_forward(dock: Dock) -> None:
    """Bring a dock in front of those that share its place."""
    parent = dock.parentWidget()
    while parent is not None and not hasattr(parent, "toggleViewAction"):
        parent = parent.parentWidget()
    if parent is not None:
        parent.show()
        parent.raise_()
