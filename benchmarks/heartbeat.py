"""Whether napari stays free while the Task dock previews 256^3 voxels of every task.

    xvfb-run -a python benchmarks/heartbeat.py [--cores 2] [--size 256] [--write]

A real napari window with the Task dock over touching cells. For every task the whole volume is
previewed three times; a timer ticks every millisecond on the main thread, and its longest silence
counts: while the preview is computed, and while napari takes the new layers in (which is napari's
own work: in software, where there is no graphics card). ``--write`` puts the figures into
``results/``.
"""

import time
from typing import Any

import numpy as np
from cases import TWELVE, VOXEL_SIZE, touching_cells
from live_preview import GOAL_GAP_MS, WINDOW, Heartbeat
from measuring import arguments_alone, keep_to_cores, machine, write

ROUNDS = 3
PATIENCE = 600


def tasks() -> dict[str, Any]:
    """Give a config of each task."""
    from napari_dacapo_tasks.tasks import (
        AffinitiesTaskConfig,
        DistanceTaskConfig,
        HotDistanceTaskConfig,
        InnerDistanceTaskConfig,
        OneHotTaskConfig,
    )

    distances = {
        "name": "bench",
        "channels": ["cells"],
        "scale_factor": 50,
        "clip_distance": 200,
        "tol_distance": 40,
    }
    return {
        "Signed distance": DistanceTaskConfig(**distances),
        "Inner distance": InnerDistanceTaskConfig(**distances),
        "Hot distance": HotDistanceTaskConfig(**distances, mask_distances=True),
        "One-hot": OneHotTaskConfig(name="bench", classes=["background", "one", "two"]),
        "Affinities, 3 offsets": AffinitiesTaskConfig(name="bench", neighborhood=TWELVE[:3]),
        "Affinities, 12 offsets": AffinitiesTaskConfig(name="bench", neighborhood=TWELVE),
        "Affinities, 3 offsets, LSDs": AffinitiesTaskConfig(
            name="bench", neighborhood=TWELVE[:3], lsds=True
        ),
    }


class Desk:
    """A window with the dock."""

    def __init__(self, size: int) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        from napari_dacapo_tasks.widgets.task_dock import TaskDock

        self._application = QApplication
        labels = touching_cells(size)
        self.viewer = napari.Viewer()
        self.viewer.window.resize(*WINDOW)
        place = {"scale": (VOXEL_SIZE,) * 3, "units": ("nm",) * 3}
        self.viewer.add_labels(labels.astype(np.uint32), name="cells", **place)
        self.heartbeat = Heartbeat()
        self.dock = TaskDock(self.viewer)
        self.dock.preview.live_box.setChecked(False)
        self.viewer.window.add_dock_widget(self.dock, name="Task")
        self.dock.preview.region_combo.setCurrentIndex(0)  # the whole volume
        self.settle(1.0)

    def settle(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self._step()

    def preview(self) -> dict[str, float]:
        """Preview once: seconds, and the longest silences (ms) while computing and showing."""
        before = self.dock._preview
        self.heartbeat.forget()
        begin = time.perf_counter()
        self.dock.live.now()
        computed = 0
        while self.dock._preview is before:
            assert time.perf_counter() < begin + PATIENCE, self.dock.notice.text
            computed = len(self.heartbeat.gaps)
            self._step()
        seconds = time.perf_counter() - begin
        self.settle(1.0)
        gaps = self.heartbeat.gaps
        return {
            "seconds": seconds,
            "computing_ms": 1000 * max(gaps[:computed], default=0.0),
            "showing_ms": 1000 * max(gaps[computed:], default=0.0),
        }

    def _step(self) -> None:
        self._application.processEvents()
        time.sleep(0.0005)  # as an event loop sleeps; the worker may work


def main() -> None:
    arguments = arguments_alone(__doc__, size=(256, "voxels along each axis"))
    keep_to_cores(arguments.cores)
    figures = {
        "machine": machine(arguments.cores),
        "size": arguments.size,
        "tasks": measure(arguments.size),
    }
    text = page(figures)
    print(text)
    if arguments.write:
        write("heartbeat", figures, text)


def measure(size: int) -> dict[str, dict[str, float]]:
    """Give the worst of some previews of each task; the first, which makes layers, apart."""
    desk = Desk(size)
    figures = {}
    for name, config in tasks().items():
        desk.dock.task.setValue(config)
        desk.settle(0.5)
        first = desk.preview()
        later = [desk.preview() for _ in range(ROUNDS)]
        figures[name] = {
            **{key: max(one[key] for one in later) for key in first},
            "first_showing_ms": first["showing_ms"],
        }
        print(name, {key: round(value, 2) for key, value in figures[name].items()}, flush=True)
    desk.viewer.close()
    return figures


def page(figures: dict[str, Any]) -> str:
    there, size = figures["machine"], figures["size"]
    rows = [
        "# The main thread during previews",
        "",
        f"Previews of {size}^3 voxels in a real napari window ({there['cores_used']} cores of "
        f"{there['processor']}, software OpenGL where there is no screen). The longest silence "
        f"of the main thread in {ROUNDS} previews, asked for under {GOAL_GAP_MS} ms: while the "
        "preview is computed, and while napari takes the result into its layers and draws them "
        "(the first time it makes them). `benchmarks/heartbeat.py` made this page.",
        "",
        "| task | preview | silent while computing | while showing | first showing |",
        "|---|---|---|---|---|",
    ]
    for name, row in figures["tasks"].items():
        rows.append(
            f"| {name} | {row['seconds']:.2f} s | {row['computing_ms']:.0f} ms "
            f"| {row['showing_ms']:.0f} ms | {row['first_showing_ms']:.0f} ms |"
        )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
