"""Go the way of docs/tutorial.md in the running program, and draw its pictures.

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_tutorial.py VOLUME train RUN_FOLDER
    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_tutorial.py VOLUME use RUN_FOLDER

``VOLUME`` is an OME-Zarr with ``labels/neurons``. The first trains a run through the docks, the
second predicts with it, segments, sweeps and scores.
"""

from __future__ import annotations

import sys
from pathlib import Path

from make_pictures import PICTURES
from napari.layers import Labels

from napari_dacapo_tasks.runs.trainer_config import OptimizerConfig, TrainerConfig, ValidationConfig
from napari_dacapo_tasks.tasks import TASKS, AffinitiesTaskConfig
from napari_dacapo_tasks.tasks.evaluators.evaluator import Scores
from napari_dacapo_tasks.widgets.demo import Demo, bring_forward
from napari_dacapo_tasks.widgets.run_controls import State

ITERATIONS = 800
LEARNING_RATE = 1e-3
WARM_UP = 50
OFTEN = 100
"""Steps between two validations, snapshots and checkpoints."""

KEPT_BACK = 25
"""Percent of the sections, the last ones, that validate, and are predicted later."""

UNSEEN, SEEN = "120:160,:,:", 140
"""The same as voxels, and the section that is shown."""

SWEPT = {"bias": "0.4, 0.5, 0.6", "long_bias": "0.4, 0.5, 0.6", "min_size": "2, 100, 1000"}
"""Values of the mutex watershed that are tried."""

PATIENCE = 4 * 3600
"""Seconds after which something must have gone wrong."""


def main(volume: Path, stage: str, run: Path) -> None:
    demo = Demo(sample=False)
    demo.viewer.open(str(volume), plugin="napari-ome-zarr")
    {"train": train, "use": use}[stage](demo, run)
    demo.close()


def look_at_task(demo: Demo) -> None:
    """Choose affinities of the neurons."""
    task = demo.task_dock
    bring_forward(task)
    task.task.type_combo.setCurrentIndex(TASKS.index(AffinitiesTaskConfig))
    task.ground_truth.labels_combo.set_layer(labels_of(demo))
    demo.settle(2)
    demo.wait(lambda: not task.live.running, 300, "the preview", task)
    demo.screenshot(PICTURES / "tutorial-task.png")


def train(demo: Demo, run: Path) -> None:
    """Choose the task, keep the last sections back, and train."""
    look_at_task(demo)
    dock = demo.train_dock
    bring_forward(dock)
    demo.wait(lambda: bool(dock.trainer.device.value()), 60, "the devices", dock)
    form = dock.data.table.form.block
    form.box.setChecked(True)
    form.percent.setValue(KEPT_BACK)
    dock.trainer.setValue(
        TrainerConfig(
            iterations=ITERATIONS,
            learning_rate=LEARNING_RATE,
            optimizer=OptimizerConfig(warm_up=WARM_UP),
            snapshot_interval=OFTEN,
            checkpoint_interval=OFTEN,
            validation=ValidationConfig(interval=OFTEN),
            device=dock.trainer.device.value(),
        )
    )
    dock.folder.setPath(run)
    demo.wait(dock.controls.start_button.isEnabled, 60, "the run folder", dock)
    dock.controls.start_button.click()
    demo.wait(lambda: dock.state is not State.IDLE, 300, "the start", dock)
    demo.wait(lambda: dock.state is State.IDLE, PATIENCE, "training", dock)


def look_at_run(demo: Demo, run: Path) -> None:
    """Show what was trained."""
    dock = demo.train_dock
    bring_forward(dock)
    dock.folder.setPath(run)
    demo.wait(lambda: dock.folder.found, 60, "the run", dock)
    dock.view.show_curves()
    demo.screenshot(PICTURES / "tutorial-train.png")


def use(demo: Demo, run: Path) -> None:
    """Predict the sections that were kept back, segment, sweep and score them."""
    look_at_run(demo, run)
    raw = next(layer.name for layer in demo.viewer.layers if not isinstance(layer, Labels))
    dock = demo.predict_dock
    dock.score.truth.panel.labels_combo.set_layer(labels_of(demo))
    demo.predict(run, raw, UNSEEN)
    look(demo, "prediction: nearest", raw)
    demo.screenshot(PICTURES / "tutorial-predict.png")
    demo.segment()
    look(demo, "segmentation", raw)
    demo.screenshot(PICTURES / "tutorial-segment.png")
    tell("At first", demo.score())
    demo.sweep(**SWEPT)
    demo.screenshot(PICTURES / "tutorial-sweep.png")
    demo.segment(dock.sweep.scores.best_button.click)
    tell("The best", demo.score())
    look(demo, "mistakes", raw)
    demo.screenshot(PICTURES / "tutorial-score.png")


def tell(when: str, scores: Scores) -> None:
    """Print scores for the page."""
    for channel, found in scores.items():
        print(when, channel, {name: round(value, 3) for name, value in found.items()})


def labels_of(demo: Demo) -> Labels:
    """Give the ground truth."""
    return next(layer for layer in demo.viewer.layers if isinstance(layer, Labels))


def look(demo: Demo, name: str, raw: str) -> None:
    """Look at a section in the middle of what was kept back."""
    demo.look_at(name, raw)
    layer = demo.viewer.layers[raw]
    demo.viewer.dims.set_point(demo.viewer.dims.ndim - 3, layer.data_to_world((SEEN, 0, 0))[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
