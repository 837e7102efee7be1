"""Draw the pictures of README and docs from the running program.

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_pictures.py

It is the demo, with stops for pictures.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from napari_dacapo_tasks.arrays import LabelsConfig
from napari_dacapo_tasks.widgets.demo import TRAINING_SECONDS, Demo

PICTURES = Path(__file__).with_name("pictures")

PINNED_SCALE = 16.0
"""In nanometres: two voxels, a hard edge beside the soft one that is proposed."""

STEPS_SHOWN = 430
"""Steps after which the picture of the Train dock is taken."""

SETTLED_SECONDS = 3.0
"""By then a preview of the sample is drawn."""

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


def canvas(demo: Demo) -> Image.Image:
    """Take a picture of the canvas alone."""
    demo.settle()
    return Image.fromarray(demo.viewer.screenshot(canvas_only=True, flash=False)).convert("RGB")


def side_by_side(pictures: list[Image.Image], path: Path) -> None:
    """Save pictures of one size in a row."""
    width, height = pictures[0].size
    row = Image.new("RGB", (width * len(pictures) + GAP * (len(pictures) - 1), height), "white")
    for index, picture in enumerate(pictures):
        row.paste(picture, (index * (width + GAP), 0))
    row.save(path, optimize=True)


if __name__ == "__main__":
    main()
