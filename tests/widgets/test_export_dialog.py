"""Taking a trained network elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_dacapo_tasks.prediction.trained import open_trained
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.widgets import export_dialog
from napari_dacapo_tasks.widgets.export_dialog import ExportDialog


@pytest.fixture
def run(make_run: Callable[..., RunFolder]) -> RunFolder:
    run = make_run("trained")
    torch.manual_seed(0)
    model = run.task.task_type(run.task).create_model(run.config.architecture)
    run.save_checkpoint({"model": model.chain.state_dict()}, 3)
    return run


@pytest.fixture
def dialog(qtbot: Any, run: RunFolder) -> Iterator[ExportDialog]:
    dialog = ExportDialog(run.path, "best", None)
    qtbot.addWidget(dialog)
    yield dialog
    dialog.end()


def export(dialog: ExportDialog, qtbot: Any) -> str:
    dialog.export_button.click()
    qtbot.waitUntil(lambda: not dialog.busy)
    return dialog.notice.text


def test_a_folder_for_dacapo_is_read_back(
    dialog: ExportDialog, qtbot: Any, run: RunFolder, tmp_path: Path
) -> None:
    dialog.setFormat("dacapo")
    out = tmp_path / "elsewhere"
    dialog.setPath(out)
    assert export(dialog, qtbot).startswith(f"Exported to {out}.")
    assert not dialog.notice.is_error
    assert open_trained(out).task == run.task
    assert export(dialog, qtbot).startswith(f"{out} exists already")
    assert dialog.notice.is_error
    assert dialog.export_button.isEnabled()


def test_a_place_is_proposed_for_each_format(dialog: ExportDialog, run: RunFolder) -> None:
    proposed = set()
    for name in ("bioimageio", "torch", "dacapo"):
        dialog.setFormat(name)
        path = Path(dialog.line.text())
        assert path.parent == run.path.parent
        assert not path.exists()
        assert dialog.details.isHidden() == (name != "bioimageio")
        proposed.add(path)
    assert len(proposed) == 3


def test_no_place_is_refused(dialog: ExportDialog, qtbot: Any) -> None:
    dialog.setPath("")
    assert export(dialog, qtbot) == "There is no place: enter a file or folder to make."


def test_it_can_be_cancelled(
    dialog: ExportDialog, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []

    def endless(*_arguments: Any, **_more: Any) -> Iterator[float]:
        try:
            while True:
                yield 0.5
        finally:
            left.append(True)

    monkeypatch.setattr(export_dialog, "export", endless)
    dialog.setPath(tmp_path / "out.zip")
    dialog.export_button.click()
    qtbot.waitUntil(lambda: dialog.bar.value() == 500)
    assert not dialog.line.isEnabled()
    assert dialog.close_button.text() == "Cancel"
    dialog.close_button.click()
    qtbot.waitUntil(lambda: bool(left) and not dialog.busy)
    assert dialog.line.isEnabled()
    assert dialog.close_button.text() == "Close"
