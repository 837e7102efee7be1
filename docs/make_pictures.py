"""Draw the pictures of README and docs from the running program.

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_pictures.py

It is the demo, with stops for pictures.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from napari_dacapo_tasks.arrays import Channel, LabelsConfig
from napari_dacapo_tasks.tasks import (
    TASKS,
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    HotDistanceTaskConfig,
    InnerDistanceTaskConfig,
    OneHotTaskConfig,
    TaskConfig,
)
from napari_dacapo_tasks.widgets.demo import TRAINING_SECONDS, Demo, bring_forward
from napari_dacapo_tasks.widgets.section import Section

PICTURES = Path(__file__).with_name("pictures")

PINNED_SCALE = 16.0
"""In nanometres: two voxels, a hard edge beside the soft one that is proposed."""

STEPS_SHOWN = 430
"""Steps after which the picture of the Train dock is taken."""

SETTLED_SECONDS = 3.0
"""By then a preview of the sample is drawn."""

LONG_OFFSET = 7
"""The channel of affinities whose weight is shown: y + 9, with a border that is seen."""

GAP = 12
"""Pixels between two pictures."""


def main() -> None:
    demo = Demo()
    draw_task(demo)
    with tempfile.TemporaryDirectory() as folder:
        draw_training(demo, Path(folder) / "mito_1")
    demo.close()
    demo = Demo()
    draw_pinned(demo)
    demo.close()
    demo = Demo()
    draw_tasks(demo)
    demo.close()


def draw_task(demo: Demo) -> None:
    demo.preview()
    demo.screenshot(PICTURES / "task-dock.png")


def draw_training(demo: Demo, folder: Path) -> None:
    demo.start(folder)
    dock = demo.train_dock
    demo.wait(lambda: len(dock.plot.history) > STEPS_SHOWN, TRAINING_SECONDS, "training", dock)
    demo.look_at_snapshot()
    demo.screenshot(PICTURES / "train-dock.png")
    demo.wait_for_training()
    demo.look_at_snapshot("target")
    target = canvas(demo)
    demo.look_at_snapshot()
    side_by_side([target, canvas(demo)], PICTURES / "prediction.png")


def draw_pinned(demo: Demo) -> None:
    """Two scale factors on touching cells."""
    demo.preview("cells", LabelsConfig())
    soft = canvas(demo)
    dock = demo.task_dock
    dock.preview.pin_button.click()
    config = dock.task.value()
    assert config is not None
    dock.task.form.setValue(config.model_copy(update={"scale_factor": PINNED_SCALE}))
    demo.settle(SETTLED_SECONDS)
    side_by_side([soft, canvas(demo)], PICTURES / "pinned.png")


def draw_tasks(demo: Demo) -> None:
    """The target of every task, and beside it its weight or what else it has to show."""
    mito = LabelsConfig(channels=(Channel(name="mito", labels=(1,)),))
    choose(demo, DistanceTaskConfig, "organelles", mito)
    distance = shown(demo, "target")
    side_by_side([distance, shown(demo, "weight")], PICTURES / "task-distance.png")
    choose(demo, InnerDistanceTaskConfig, "organelles", mito)
    side_by_side(
        [shown(demo, "target"), shown(demo, "weight")], PICTURES / "task-inner-distance.png"
    )
    choose(demo, HotDistanceTaskConfig, "organelles", mito)
    halves = [shown(demo, "target: mito one-hot"), shown(demo, "target: mito distance")]
    side_by_side(halves, PICTURES / "task-hot-distance.png")
    choose(demo, OneHotTaskConfig, "organelles", None)
    classes = shown(demo, "target: classes")
    side_by_side([classes, shown(demo, "weight")], PICTURES / "task-one-hot.png")
    config = choose(demo, AffinitiesTaskConfig, "cells", None)
    nearest = shown(demo, "target: nearest affinities")
    bring_forward(demo.task_dock)
    demo.screenshot(PICTURES / "affinities-dock.png")
    demo.viewer.dims.set_point(0, LONG_OFFSET)
    side_by_side([nearest, shown(demo, "weight")], PICTURES / "task-affinities.png")
    demo.task_dock.task.setValue(config.model_copy(update={"lsds": True, "num_lsd_voxels": 6}))
    settled(demo)
    parts = [shown(demo, f"target: LSD {part}") for part in ("offset", "variance", "correlation")]
    side_by_side(parts, PICTURES / "task-lsds.png")
    side_by_side([distance, classes, nearest, parts[0]], PICTURES / "tasks.png")
    draw_segmentation(demo)


def draw_segmentation(demo: Demo) -> None:
    """Cells from perfect distances, with the scores."""
    choose(demo, DistanceTaskConfig, "cells", LabelsConfig())
    panel = demo.task_dock.segmentation
    for section in demo.task_dock.findChildren(Section):
        section.heading.setChecked(section.heading.text() == "Segment the target")
    bring_forward(demo.task_dock)
    panel.box.setChecked(True)
    demo.wait(lambda: "segmentation" in names(demo), 60, "a segmentation", demo.task_dock)
    demo.wait(lambda: not panel.running, 60, "a segmentation", demo.task_dock)
    for layer in demo.viewer.layers:
        layer.visible = layer.name == "raw" or layer.name.startswith("segmentation")
    demo.screenshot(PICTURES / "segment-the-target.png")


def choose(
    demo: Demo, kind: type[TaskConfig], layer: str, labels: LabelsConfig | None
) -> TaskConfig:
    """Choose task and ground truth, and wait for the preview of what is proposed."""
    dock = demo.task_dock
    dock.task.type_combo.setCurrentIndex(TASKS.index(kind))
    panel = dock.ground_truth
    if labels is not None:
        panel.channels.setValue(labels)
    panel.labels_combo.set_layer(demo.viewer.layers[layer])
    settled(demo)
    config = dock.task.value()
    assert isinstance(config, kind)
    return config


def settled(demo: Demo) -> None:
    """Wait until everything that was asked for is shown."""
    dock = demo.task_dock
    demo.settle()
    demo.wait(lambda: not dock.live.running, 120, "the preview", dock)
    demo.settle(SETTLED_SECONDS)


def names(demo: Demo) -> str:
    """Give the names of all layers."""
    return " ".join(layer.name for layer in demo.viewer.layers)


def shown(demo: Demo, name: str) -> Image.Image:
    """Take a picture of one layer over the raw data."""
    wanted = next(layer for layer in demo.viewer.layers if layer.name.startswith(name))
    for layer in demo.viewer.layers:
        layer.visible = layer is wanted or layer.name == "raw"
    return canvas(demo)


def canvas(demo: Demo) -> Image.Image:
    """Take a picture of the canvas alone."""
    demo.settle()
    return Image.fromarray(demo.viewer.screenshot(canvas_only=True, flash=False)).convert("RGB")


def side_by_side(pictures: list[Image.Image], path: Path) -> None:
    """Save pictures of one size in a row."""
    width, height = pictures[0].size  # a slider more beneath a canvas makes it a little lower
    row = Image.new("RGB", (width * len(pictures) + GAP * (len(pictures) - 1), height), "white")
    for index, picture in enumerate(pictures):
        row.paste(picture, (index * (width + GAP), 0))
    row.save(path, optimize=True)


if __name__ == "__main__":
    main()
