"""Whether napari stays free while the Train dock trains on the processor, with all cores busy.

    xvfb-run -a python benchmarks/training_heartbeat.py [--cores 2] [--iterations 120] [--write]

The demo's network on the sample, with snapshots and validations, in a real napari window. A timer
ticks every millisecond on the main thread, and its silences are counted from the first step to the
last: those in which a snapshot was shown (which is napari's own work) apart from all others.
``--write`` puts the figures into ``results/``.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from live_preview import GOAL_GAP_MS, Heartbeat
from measuring import arguments_alone, keep_to_cores, machine, write

NAME = "training_heartbeat"
PATIENCE = 1800


def main() -> None:
    arguments = arguments_alone(__doc__, iterations=(120, "steps of the training"))
    keep_to_cores(arguments.cores)
    figures = {
        "machine": machine(arguments.cores),
        "iterations": arguments.iterations,
        **measure(arguments.iterations),
    }
    text = page(figures)
    print(text)
    if arguments.write:
        write(NAME, figures, text)


def measure(iterations: int) -> dict[str, Any]:
    """Train once, and give the silences of steps and validations, and of snapshots."""
    from napari_dacapo_tasks.training.events import Started, Validated
    from napari_dacapo_tasks.widgets.demo import Demo
    from napari_dacapo_tasks.widgets.run_controls import State
    from napari_dacapo_tasks.widgets.seen_snapshot import SeenSnapshot

    demo = Demo()
    dock = demo.train_dock
    heartbeat = Heartbeat()
    shown: list[int] = []
    validations = 0

    def note(event: object) -> None:
        nonlocal validations
        if isinstance(event, Started):
            heartbeat.forget()
        elif isinstance(event, SeenSnapshot):
            shown.append(len(heartbeat.gaps))
        validations += isinstance(event, Validated)

    dock.controller.happened.connect(note)
    demo.preview()
    with tempfile.TemporaryDirectory() as folder:
        demo.start(Path(folder) / "run", iterations)
        demo.wait(lambda: dock.state is State.IDLE, PATIENCE, "training", dock)
        demo.settle(1.0)
        seconds = [one.seconds for one in dock.folder.found.run.statistics()] or [0.0]
    demo.close()
    # A snapshot is shown between the tick before it was noted and the one after it was drawn.
    near = {index + step for index in shown for step in (-1, 0, 1, 2)}
    gaps = 1000 * np.array(heartbeat.gaps)
    with_snapshot = np.array([index in near for index in range(len(gaps))])
    return {
        "snapshots": len(shown),
        "validations": validations,
        "step_seconds": float(np.median(seconds)),
        "steps": summary(gaps[~with_snapshot]),
        "showing": summary(gaps[with_snapshot]),
    }


def summary(gaps: Sequence[float]) -> dict[str, float]:
    """Give the silences' percentiles and the longest ones, in milliseconds."""
    return {
        "median": float(np.median(gaps)),
        "p99": float(np.percentile(gaps, 99)),
        "longest": float(np.max(gaps)),
        "over_goal": int(np.sum(np.asarray(gaps) > GOAL_GAP_MS)),
        "count": len(gaps),
    }


def page(figures: dict[str, Any]) -> str:
    there = figures["machine"]
    rows = [
        "# The main thread during training",
        "",
        f"{figures['iterations']} steps of {figures['step_seconds']:.2f} s, "
        f"{figures['snapshots']} snapshots and {figures['validations']} validations in a real "
        f"napari window, training on all {there['cores_used']} cores of {there['processor']} "
        "(software OpenGL where there is no screen). Silences of the main thread, asked for under "
        f"{GOAL_GAP_MS} ms. `benchmarks/{NAME}.py` made this page.",
        "",
        f"| | silences | median | 99 of 100 are under | longest | over {GOAL_GAP_MS} ms |",
        "|---|---|---|---|---|---|",
    ]
    for name, key in (
        ("steps and validations", "steps"),
        ("showing snapshots (the first one makes the layers)", "showing"),
    ):
        row = figures[key]
        rows.append(
            f"| {name} | {row['count']} | {row['median']:.1f} ms | {row['p99']:.0f} ms "
            f"| {row['longest']:.0f} ms | {row['over_goal']} |"
        )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
