"""How a run ends, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from qtpy.QtCore import QObject

from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.training.events import Finished, Notice, Started, Stepped
from napari_dacapo_tasks.widgets.run_controller import RunController
from napari_dacapo_tasks.widgets.run_events import Opened

EARLY = "Training stops early, at iteration 2."


@pytest.mark.parametrize(("early", "after"), [(True, f" {EARLY}"), (False, "")])
def test_why_a_run_ended_by_itself_is_said_at_its_end(
    qtbot: Any, make_run: Callable[..., RunFolder], early: bool, after: str
) -> None:
    run = make_run()

    def work() -> Any:
        yield Opened(run)
        yield Started(0, 8, "CPU", 10)
        yield Notice("A volume is gone.")
        yield Stepped(2, 0.5, 0.1, 0.0, 0.1)
        if early:
            yield Notice(EARLY)
        yield Finished(2)
        return run

    parent = QObject()
    controller = RunController(parent)
    with qtbot.waitSignal(controller.ended) as told:
        controller.start(work, apart=False)
    assert told.args == [f"Finished; everything lies in {run.path}.{after}"]
    controller.end()
