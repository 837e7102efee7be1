"""From layers to a prediction beside its target, through both docks as the menus open them."""

import numpy as np
import pytest

from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.widgets import run_folder_panel
from napari_dacapo_tasks.widgets.channels_table import LABELS, NAME
from napari_dacapo_tasks.widgets.run_controls import State

PLUGIN = "napari-dacapo-tasks"


@pytest.fixture
def viewer(make_napari_viewer, balls, place, tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder_panel, "RUNS_HOME", tmp_path / "runs")
    viewer = make_napari_viewer()
    noise = np.random.default_rng(0).normal(0, 12, balls.shape)
    viewer.add_image((80 * (balls > 0) + 60 + noise).astype(np.uint8), name="em", **place)
    viewer.add_labels(balls, name="truth", **place)
    return viewer


def layer(viewer, begin, end=""):
    return next(
        (one for one in viewer.layers if one.name.startswith(begin) and one.name.endswith(end)),
        None,
    )


def enter(form, name, value):
    form.editor(name).setValue(value)
    form.editor(name).changed.emit()


def test_the_whole_pass(viewer, qtbot, balls):
    _, task = viewer.window.add_plugin_dock_widget(PLUGIN, "Task")
    table = task.ground_truth.channels.table
    table.item(0, NAME).setText("balls")
    table.item(0, LABELS).setText("1, 3")
    qtbot.waitUntil(lambda: layer(viewer, "target: balls") is not None)
    target, truth = layer(viewer, "target: balls"), viewer.layers["truth"]
    inside = np.isin(balls, (1, 3))
    np.testing.assert_array_equal(target.data > 0, inside)
    assert target.data_to_world((0, 0, 0)) == truth.data_to_world((0, 0, 0))
    assert target.units == truth.units

    soft = np.asarray(target.data).copy()
    enter(task.task.form, "scale_factor", 8.0)
    qtbot.waitUntil(lambda: not np.array_equal(target.data, soft))
    np.testing.assert_array_equal(target.data > 0, inside)
    assert np.abs(target.data).mean() > np.abs(soft).mean(), "a smaller scale is a harder edge"

    _, train = viewer.window.add_plugin_dock_widget(PLUGIN, "Train")
    assert "balls" in train.data.text
    qtbot.waitUntil(lambda: bool(train.trainer.device.value()))
    assert train.data.raw_layer() is viewer.layers["em"]
    form = train.architecture.form
    enter(form, "downsample_factors", [(2, 2, 2)])
    enter(form, "kernel_size_down", None)
    enter(form, "kernel_size_up", None)
    enter(form, "padding", "same")
    enter(form, "input_shape", (24, 24, 24))
    for name in ("num_fmaps", "fmaps_out"):
        enter(form, name, 4)
    enter(train.trainer.form, "iterations", 80)
    enter(train.trainer.form, "learning_rate", 1e-2)
    qtbot.waitUntil(train.controls.start_button.isEnabled)
    train.controls.start_button.click()
    qtbot.waitUntil(lambda: train.state is State.IDLE)
    assert "Finished" in train.notice.text
    qtbot.waitUntil(lambda: not train.folder.busy)

    prediction = layer(viewer, "prediction", "(snapshot)")
    beside = layer(viewer, "target", "(snapshot)")
    assert prediction.data.shape == beside.data.shape == (24, 24, 24)
    assert prediction.data_to_world((0, 0, 0)) == beside.data_to_world((0, 0, 0))
    begin = np.round(truth.world_to_data(prediction.data_to_world((0, 0, 0)))).astype(int)
    crop = tuple(slice(b, b + 24) for b in begin)
    np.testing.assert_array_equal(beside.data > 0, inside[crop])

    run = RunFolder.open(train.folder.path())
    losses = [one.loss for one in run.statistics()]
    assert len(losses) == 80
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10]), "something was learned"
    assert run.config.task.scale_factor == 8.0
    assert run.config.data.labels.channels[0].labels == (1, 3)

    enter(train.trainer.form, "iterations", 83)
    assert train.controls.start_button.text() == "Continue"
    train.controls.start_button.click()
    qtbot.waitUntil(lambda: len(run.statistics()) == 83)
    qtbot.waitUntil(lambda: train.state is State.IDLE)
    assert [one.iteration for one in run.statistics()] == list(range(1, 84))
