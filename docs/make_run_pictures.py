"""Draw the curves and the last snapshot of a trained run from the running program.

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_run_pictures.py RUN_FOLDER NAME

Writes ``pictures/NAME-curves.png`` and ``pictures/NAME-snapshot.png``; docs/train.md says how the
runs that it shows were trained.
"""

from __future__ import annotations

import sys
from pathlib import Path

from make_pictures import PICTURES, shown, side_by_side
from napari.qt import get_stylesheet

from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.widgets.demo import Demo, bring_forward
from napari_dacapo_tasks.widgets.own_process import read_snapshot
from napari_dacapo_tasks.widgets.seen_snapshot import see

CURVES = (760, 480)
"""Size of the picture of the curves."""

MARGIN = 8

READING_SECONDS = 60

RAW = "raw (snapshot)"

LAYERS = (
    "target: mito",
    "prediction: mito",
    "target: nearest affinities",
    "prediction: nearest affinities",
    "target: LSD offset",
    "prediction: LSD offset",
)
"""What is shown of the snapshot, as far as the task has it."""


def main(folder: Path, name: str) -> None:
    run = RunFolder.open(folder)
    demo = Demo()
    draw_curves(demo, run, PICTURES / f"{name}-curves.png")
    draw_snapshot(demo, run, PICTURES / f"{name}-snapshot.png")
    demo.close()


def draw_curves(demo: Demo, run: RunFolder, path: Path) -> None:
    dock = demo.train_dock
    bring_forward(dock)
    dock.folder.setPath(run.path)
    demo.wait(lambda: dock.folder.found, READING_SECONDS, "the run", dock)
    demo.settle()
    curves = dock.plot
    curves.setParent(None)  # in a window of its own it can be larger than the dock
    curves.setStyleSheet(get_stylesheet(demo.viewer.theme))
    curves.layout().setContentsMargins(*[MARGIN] * 4)
    curves.resize(*CURVES)
    curves.show()
    demo.settle()
    curves.grab().save(str(path))
    curves.hide()


def draw_snapshot(demo: Demo, run: RunFolder, path: Path) -> None:
    for layer in list(demo.viewer.layers):
        demo.viewer.layers.remove(layer)
    seen = see(read_snapshot(run, run.snapshots()[-1]), run.config.task)
    demo.train_dock.snapshots.show(seen, None)
    layers = {layer.name: layer for layer in demo.viewer.layers}
    wanted = [name for one in LAYERS for name in layers if name.startswith(one)]
    whole, part = (layers[name].extent.world for name in (RAW, wanted[0]))
    demo.viewer.reset_view()
    camera = demo.viewer.scene.camera
    camera.center = part.mean(axis=0)
    camera.zoom *= ((whole[1] - whole[0]) / (part[1] - part[0]))[1:].max()
    side_by_side([shown(demo, name) for name in (RAW, *wanted)], path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
