"""The Predict dock's first tab, used as a person would."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from funlib.geometry import Coordinate, Roi
from napari.utils import progress

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr, write_ome_zarr_group
from napari_dacapo_tasks.errors import DeviceError
from napari_dacapo_tasks.prediction import predict
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.events import Filled, Notice, Opened
from napari_dacapo_tasks.prediction.fit import plan_prediction
from napari_dacapo_tasks.prediction.large import blockwise
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.prediction.stored import open_prediction
from napari_dacapo_tasks.prediction.trained import open_trained
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import AffinitiesTaskConfig
from napari_dacapo_tasks.widgets import large_prediction, model_panel
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.predict_controls import State
from napari_dacapo_tasks.widgets.predict_dock import WIDTH, PredictDock
from napari_dacapo_tasks.widgets.predict_tab import describe
from napari_dacapo_tasks.widgets.predict_work import Planned
from napari_dacapo_tasks.widgets.region_panel import BOX, SHAPES, VOXELS
from napari_dacapo_tasks.widgets.session import Session

PLACE = {
    "scale": (8, 8, 8),
    "translate": (80, 160, 240),
    "units": ("nm",) * 3,
    "axis_labels": ("z", "y", "x"),
}
NAME = "prediction: balls"


def save_random(run: RunFolder, iteration: int = 3) -> RunFolder:
    """Give a run a network that nobody trained."""
    torch.manual_seed(0)
    model = run.task.task_type(run.task).create_model(run.config.architecture)
    run.save_checkpoint({"model": model.chain.state_dict()}, iteration)
    return run


class Person:
    """A person at the Predict dock."""

    def __init__(self, qtbot: Any, viewer: Any) -> None:
        self.qtbot, self.viewer = qtbot, viewer
        self.dock = PredictDock(viewer)
        self.tab = self.dock.predict
        self.widget = viewer.window.add_dock_widget(self.dock, name="Predict")
        self.wait(lambda: bool(self.tab.device.value()))

    def wait(self, until: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(until)

    def choose(self, run: RunFolder) -> None:
        self.tab.model.setModel(run.path)
        self.settle()

    def settle(self) -> None:
        """Wait until it is known what would come out."""
        self.wait(lambda: self.tab.planned)
        self.wait(lambda: self.tab.planned)  # what was looked up may be planned after that

    def press(self) -> None:
        button = self.tab.controls.start_button
        assert button.isEnabled(), self.tab.controls.plan
        button.click()

    def wait_for_end(self) -> None:
        self.wait(lambda: self.tab.state is State.IDLE)

    def predict(self) -> None:
        self.press()
        self.wait_for_end()

    @property
    def said(self) -> str:
        return self.dock.notice.text

    @property
    def plan(self) -> str:
        return self.tab.controls.plan

    def layer(self, name: str = NAME) -> Any:
        return self.viewer.layers[name]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no runs be found but those of the test; networks are tiny."""
    monkeypatch.setattr(model_panel, "RUNS_HOME", tmp_path / "home")
    number = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(number)


@pytest.fixture
def run(make_run: Any) -> RunFolder:
    return save_random(make_run("trained"))


@pytest.fixture
def viewer(make_napari_viewer: Any, volume: Any) -> Any:
    viewer = make_napari_viewer()
    viewer.add_image(volume.raw, name="raw", **PLACE)
    return viewer


@pytest.fixture
def person(qtbot: Any, viewer: Any, run: RunFolder) -> Person:
    person = Person(qtbot, viewer)
    person.choose(run)
    return person


def answer(run: RunFolder, raw: Array, roi: Roi | None = None) -> NumpyArray:
    """Give what the network answers, without any window."""
    plan = plan_prediction(open_trained(run.path), raw, roi)
    steps = predict.predict(plan, PredictionConfig(device="cpu"))
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value.array


class Gate:
    """Stands for predicting: goes on step by step, when the test lets it."""

    def __init__(self) -> None:
        self.open = Event()
        self.left = False
        self.fails: Exception | None = None

    def __call__(self, plan: Any, config: Any, out: Any = None, **_more: Any) -> Any:
        values = np.zeros((plan.num_channels, *plan.shape), np.float32)
        array = NumpyArray.from_np_array(
            values, plan.roi, plan.voxel_size, ("c", *plan.axes), plan.unit
        )
        half = Roi(plan.roi.begin, (plan.roi.shape[0] // 2, *plan.roi.shape[1:]))
        try:
            yield Opened(array, "CPU")
            yield Notice("Half of it comes first.")
            values[:, : plan.shape[0] // 2] = 1
            yield Filled(half, 0.5, 1000.0)
            while not self.open.is_set():
                time.sleep(0.002)
                yield Filled(Roi(plan.roi.begin, plan.roi.shape * 0), 0.5, 1000.0)
            if self.fails is not None:
                raise self.fails
            values[:] = 1
            yield Filled(plan.roi, 1.0, 1000.0)
            return Prediction(array, plan.trained.task, plan.trained.name, plan.trained.run)
        finally:
            self.left = True


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(predict, "predict", gate)
    yield gate
    gate.open.set()


def test_a_prediction_lies_where_the_image_lies(person: Person, run: RunFolder) -> None:
    assert "Signed distance 'balls', 3 iterations" in person.tab.model.text
    assert "voxels of 8 x 8 x 8 nm" in person.tab.model.text
    assert person.plan.startswith("Gives 1 channel of 40 x 40 x 40 voxels")
    person.predict()
    assert person.said == "Predicted raw."
    assert person.tab.controls.bar.value() == person.tab.controls.bar.maximum()

    raw, shown = person.layer("raw"), person.layer()
    np.testing.assert_array_equal(shown.scale, raw.scale)
    np.testing.assert_array_equal(shown.translate, raw.translate)
    assert shown.units == raw.units
    expected = answer(run, array_of(raw))
    np.testing.assert_allclose(shown.data, expected.data[0], atol=1e-5)
    handed = person.dock.session.prediction
    assert handed.prediction.run == run.path
    assert handed.prediction.array.data.base is shown.data.base or np.shares_memory(
        handed.prediction.array.data, shown.data
    )
    assert handed.anchor.geometry.translate == (80, 160, 240)


def test_layers_are_there_at_once_and_fill(person: Person, gate: Gate) -> None:
    person.press()
    person.wait(lambda: NAME in person.viewer.layers)
    assert person.tab.state in (State.PREPARING, State.PREDICTING)
    assert not person.tab.controls.start_button.isEnabled()
    assert not person.tab.model.isEnabled()
    person.wait(lambda: "left" in person.tab.controls.text)
    assert person.tab.controls.text.startswith("1 thousand voxels/s, ")
    assert person.said == "Half of it comes first."
    layer = person.layer()
    person.viewer.dims.set_point(0, 100)
    person.wait(lambda: bool((layer._slice.image.raw == 1).all()))
    assert not layer.data[30].any()
    assert person.dock.session.prediction is None
    person.viewer.dims.set_point(0, 380)
    gate.open.set()
    person.wait_for_end()
    person.wait(lambda: bool((layer._slice.image.raw == 1).all()))
    assert person.tab.controls.bar.value() == person.tab.controls.bar.maximum()
    assert person.tab.model.isEnabled()


def test_stop_keeps_what_there_is(person: Person, gate: Gate) -> None:
    person.press()
    person.wait(lambda: person.tab.controls.bar.value() > 0)
    person.tab.controls.stop_button.click()
    assert person.tab.state is State.STOPPING
    person.wait_for_end()
    assert gate.left
    assert person.said.startswith("Stopped after 50%: the layers keep what there is.")
    handed = person.dock.session.prediction.prediction
    assert handed.array.data[:, :20].all()
    assert not handed.array.data[:, 20:].any()
    assert person.layer().data[:20].all()
    assert not list(progress._all_instances)
    gate.open.set()
    person.predict()
    assert person.layer().data.all()


def test_a_removed_layer_does_not_end_it(person: Person, gate: Gate) -> None:
    person.press()
    person.wait(lambda: person.tab.controls.bar.value() > 0)
    person.viewer.layers.remove(NAME)
    person.viewer.layers.remove("raw")
    gate.open.set()
    person.wait_for_end()
    assert person.said.startswith("Predicted raw.")
    assert NAME not in person.viewer.layers
    assert person.dock.session.prediction.prediction.array.data.all()


def test_what_fails_is_said_and_the_dock_is_ready_again(person: Person, gate: Gate) -> None:
    gate.fails = RuntimeError("out of luck")
    gate.open.set()
    person.predict()
    assert "out of luck" in person.said
    gate.fails = DeviceError("There is no such device.")
    person.predict()
    assert person.said == "There is no such device."
    assert person.dock.session.prediction is not None  # what there was until then
    gate.fails = None
    person.predict()
    assert person.said.startswith("Predicted raw.")
    person.dock.score.retried.emit()
    assert person.said.startswith("Predicted raw."), "that is no failure"
    person.dock.score.failed.emit(gate_error := DeviceError("This does not work."))
    assert person.said == str(gate_error)
    person.dock.sweep.retried.emit()
    assert person.said == ""


@pytest.mark.parametrize("closing", ["dock", "window"])
def test_closing_ends_it(person: Person, gate: Gate, closing: str) -> None:
    person.press()
    person.wait(lambda: person.tab.controls.bar.value() > 0)
    if closing == "dock":
        person.viewer.window.remove_dock_widget(person.widget)
    else:
        person.viewer.close()
    assert gate.left


def test_the_image_can_be_on_disk(
    person: Person, run: RunFolder, volume: Any, tmp_path: Path
) -> None:
    list(write_ome_zarr(tmp_path / "far.zarr", volume.array(volume.raw), name="far"))
    person.tab.image.setPath(str(tmp_path / "far.zarr"))
    person.settle()
    person.tab.region.kind_combo.setCurrentIndex(VOXELS)
    person.tab.region.voxels_line.setText("8:24,:,4:36")
    person.tab.region.voxels_line.editingFinished.emit()
    person.settle()
    assert person.plan.startswith("Gives 1 channel of 16 x 40 x 32 voxels")
    person.predict()
    shown = array_of(person.layer())
    assert shown.roi == Roi((64, 0, 32), (128, 320, 256))
    expected = answer(run, volume.array(volume.raw))[shown.roi]
    np.testing.assert_allclose(shown.data, expected[0], atol=1e-5)


def test_one_of_several_images_at_a_path_is_chosen(
    person: Person, volume: Any, tmp_path: Path
) -> None:
    images = {"near": volume.array(volume.raw), "far": volume.array(volume.raw[:20])}
    list(write_ome_zarr_group(tmp_path / "both.zarr", images))
    person.tab.image.setPath(str(tmp_path / "both.zarr"))
    person.settle()
    assert person.plan == "There are several images at this path: choose one of them."
    datasets = person.tab.image.path.datasets
    datasets.setCurrentIndex(datasets.findText("far"))
    datasets.activated.emit(datasets.currentIndex())
    person.settle()
    assert person.plan.startswith("Gives 1 channel of 20 x 40 x 40 voxels")


def test_a_prediction_on_disk_is_shown_as_it_is(
    person: Person, run: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "out.ome.zarr"
    person.tab.output.setOnDisk(True)
    person.tab.output.setPath(out)
    person.predict()
    assert person.said == f"Predicted raw; it lies in {out}."
    expected = answer(run, array_of(person.layer("raw"))).data[0]
    stored = open_prediction(out)
    np.testing.assert_allclose(stored.array.data[0], expected, atol=1e-5)
    layer = person.layer()
    assert layer.multiscale
    np.testing.assert_array_equal(layer.translate, (80, 160, 240))
    person.viewer.dims.set_point(0, 80 + 8 * 17)
    person.wait(lambda: bool(layer._slice.image.raw.any()))
    seen = layer._slice.image.raw
    np.testing.assert_allclose(seen, expected[17][: seen.shape[0], : seen.shape[1]], atol=1e-5)
    assert person.dock.session.prediction.prediction.array.attrs["path"] == str(out)


def test_a_taken_folder_is_asked_about(person: Person, tmp_path: Path) -> None:
    out = tmp_path / "out.ome.zarr"
    person.tab.output.setOnDisk(True)
    person.tab.output.setPath(out)
    person.predict()
    made = (out / ".zattrs").stat().st_mtime_ns
    person.predict()
    question = person.tab.question
    assert set(question.offered) == {"resume", "overwrite", "other"}
    assert (out / ".zattrs").stat().st_mtime_ns == made
    question.offered["other"].click()
    assert person.tab.output.line.text() == str(tmp_path / "out_2.ome.zarr")
    person.tab.output.setPath(out)
    person.predict()
    person.tab.question.offered["overwrite"].click()
    person.wait_for_end()
    assert (out / ".zattrs").stat().st_mtime_ns > made
    assert person.said.startswith("Predicted raw; it lies in")


def test_an_unfinished_one_can_be_resumed(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.ome.zarr"
    person.tab.output.setOnDisk(True)
    person.tab.output.setPath(out)
    whole = predict.predict

    def cut_short(*arguments: Any, **more: Any) -> Any:
        steps = whole(*arguments, **more)
        yield next(steps)
        steps.close()
        raise DeviceError("The cable was pulled.")

    monkeypatch.setattr(predict, "predict", cut_short)
    person.predict()
    assert person.said == "The cable was pulled."
    monkeypatch.setattr(predict, "predict", whole)
    person.predict()
    question = person.tab.question
    assert set(question.offered) == {"resume", "overwrite", "other"}
    question.offered["resume"].click()
    person.wait_for_end()
    assert person.said.startswith("Predicted raw; it lies in")
    stored = open_prediction(out).array.data[:]
    assert stored.any()

    person.predict()  # it is whole now: what is there is shown
    person.tab.question.offered["resume"].click()
    person.wait_for_end()
    person.wait(lambda: bool(person.tab.layers.image.overview.any()))
    np.testing.assert_array_equal(person.tab.layers.image.overview, stored)


def test_a_large_one_goes_to_disk_by_itself(
    person: Person, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not person.tab.output.on_disk
    monkeypatch.setattr(large_prediction, "IN_MEMORY_BYTES", 1000)
    person.tab.region.kind_combo.setCurrentIndex(BOX)
    person.tab.region.size_box.setValue(32)
    person.settle()
    assert person.tab.output.on_disk
    assert person.tab.output.line.text() == str(run.path / "predictions" / "raw.ome.zarr")
    person.tab.output.setOnDisk(False)
    person.tab.region.size_box.setValue(16)
    person.settle()
    assert not person.tab.output.on_disk  # a person has said so


def test_workers_read_the_file_of_the_image(
    person: Person, run: RunFolder, volume: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []

    def stand_in(job: Any, *, exists: str) -> Iterator[Any]:
        jobs.append((job, exists))
        yield Notice("Workers work.")
        raise DeviceError("No worker came back.")

    monkeypatch.setattr(blockwise, "predict_blockwise", stand_in)
    path = tmp_path / "far.zarr"
    list(write_ome_zarr(path, volume.array(volume.raw), name="far"))
    output = person.tab.output
    output.setOnDisk(True)
    assert not output.workers_box.isEnabled()  # the layer is in memory only
    person.tab.image.setPath(str(path))
    person.settle()
    output.setPath(tmp_path / "out.ome.zarr")
    output.workers_box.setValue(3)
    output.command_line.setText("ssh host {command}")
    person.predict()
    ((job, exists),) = jobs
    assert (job.trained, job.raw, job.out) == (run.path, str(path), tmp_path / "out.ome.zarr")
    assert (job.workers, job.command, exists) == (3, "ssh host {command}", "refuse")
    assert person.said == "No worker came back."


def test_another_voxel_size_is_offered_to_be_resampled(
    person: Person, viewer: Any, volume: Any
) -> None:
    other = viewer.add_image(volume.raw, name="other", **(PLACE | {"scale": (16, 16, 16)}))
    controls = person.tab.controls
    person.tab.image.layer_combo.set_layer(other)
    person.settle()
    assert "resample the image" in person.plan
    assert not controls.start_button.isEnabled()
    assert not controls.resample_button.isHidden()
    controls.resample_button.click()
    person.settle()
    assert "80 x 80 x 80 voxels" in person.plan
    assert controls.resample_button.isHidden()
    person.tab.region.kind_combo.setCurrentIndex(VOXELS)
    person.tab.region.voxels_line.setText("0:8,0:8,0:8")
    person.tab.region.voxels_line.editingFinished.emit()
    person.settle()
    person.predict()
    shown = person.layer()
    assert shown.data.shape == (16, 16, 16)
    np.testing.assert_array_equal(shown.scale, (8, 8, 8))
    np.testing.assert_array_equal(shown.translate, np.array([80, 160, 240]) - 4)

    person.tab.image.layer_combo.set_layer(viewer.layers["raw"])
    person.settle()
    person.tab.image.layer_combo.set_layer(other)
    person.settle()
    assert not controls.resample_button.isHidden()  # it is asked for each image anew


def test_what_does_not_fit_is_refused_before_it_begins(person: Person, viewer: Any) -> None:
    colour = viewer.add_image(np.zeros((40, 40, 40, 3), np.uint8), name="colour", **PLACE)
    person.tab.image.layer_combo.set_layer(colour)
    person.settle()
    assert "3 channels (is it in colour?)" in person.plan
    assert not person.tab.controls.start_button.isEnabled()
    viewer.layers.clear()
    person.settle()
    assert "There is no image: open one" in person.plan


def test_a_region_is_drawn(person: Person, viewer: Any) -> None:
    person.tab.region.kind_combo.setCurrentIndex(SHAPES)
    person.settle()
    assert "There is no shapes layer" in person.plan
    corners = np.array([[30, 8, 4], [30, 8, 27], [30, 23, 27], [30, 23, 4]], float)
    shapes = viewer.add_shapes([corners], shape_type="rectangle", **PLACE)
    person.wait(lambda: person.tab.region.shapes_combo.layer() == shapes)
    person.settle()
    assert person.plan.startswith("Gives 1 channel of 40 x 16 x 24 voxels")
    person.tab.region.depth_box.setValue(6)
    person.settle()
    person.predict()
    shown = array_of(person.layer())
    begin = array_of(viewer.layers["raw"]).roi.begin
    assert shown.roi == Roi(begin + Coordinate(27, 8, 4) * 8, Coordinate(6, 16, 24) * 8)


def test_a_run_without_a_checkpoint_is_refused(person: Person, make_run: Any) -> None:
    person.choose(make_run("new"))
    assert "has no checkpoint yet" in person.tab.model.text
    assert not person.tab.controls.start_button.isEnabled()


def test_the_run_of_the_train_dock_is_offered(
    qtbot: Any, viewer: Any, run: RunFolder, make_run: Any
) -> None:
    person = Person(qtbot, viewer)
    person.settle()
    assert person.tab.model.model() is None
    assert person.tab.model.text.startswith("Train a network")
    Session.of(viewer).set_run(run.path)
    person.settle()
    assert person.tab.model.model() == run.path
    assert person.plan.startswith("Gives")
    other = save_random(make_run("other"))
    person.choose(other)
    Session.of(viewer).set_run(run.path)
    person.settle()
    assert person.tab.model.model() == other.path  # a person has chosen


def test_a_run_that_was_trained_further_is_read_anew(person: Person, run: RunFolder) -> None:
    person.predict()
    first = person.layer().data.copy()
    model = run.task.task_type(run.task).create_model(run.config.architecture)
    run.save_checkpoint({"model": model.chain.state_dict()}, 9)
    person.tab.model.setCheckpoint("latest")
    person.settle()
    person.predict()
    assert not np.allclose(person.layer().data, first)


def test_many_channels_come_with_a_slider_and_pictures(
    qtbot: Any, viewer: Any, make_run: Any, volume: Any, tmp_path: Path
) -> None:
    offsets = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [4, 0, 0], [0, 4, 0]]
    task = AffinitiesTaskConfig(name="touching", neighborhood=offsets)
    run = save_random(make_run("affinities", task=task))
    person = Person(qtbot, viewer)
    person.choose(run)
    person.predict()
    picture = person.layer("prediction: nearest affinities")
    assert picture.rgb
    slider = person.layer("prediction: z+1")
    assert slider.data.shape == (5, 40, 40, 40)
    np.testing.assert_array_equal(picture.data, np.moveaxis(slider.data[:3], 0, -1))
    np.testing.assert_array_equal(picture.translate, (80, 160, 240))

    person.tab.output.setOnDisk(True)
    person.tab.output.setPath(tmp_path / "out.ome.zarr")
    in_memory = picture.data.copy()
    person.predict()
    lazy = person.layer("prediction: nearest affinities")
    assert lazy.rgb
    assert lazy.multiscale
    person.viewer.dims.set_point(person.viewer.dims.ndim - 3, 80 + 8 * 20)
    person.wait(lambda: bool(lazy._slice.image.raw.any()))
    seen = lazy._slice.image.raw
    np.testing.assert_allclose(seen, in_memory[20][: seen.shape[0], : seen.shape[1]], atol=1e-5)


def test_what_was_chosen_is_chosen_again(person: Person, qtbot: Any, run: RunFolder) -> None:
    person.tab.options.editor("edges").setValue("leave out")
    person.tab.options.editor("edges").changed.emit()
    person.settle()
    assert "24 x 24 x 24 voxels" in person.plan
    person.predict()
    again = PredictDock(person.viewer)
    qtbot.addWidget(again)
    assert again.predict.forms.config().edges == "leave out"
    offered = again.predict.model.combo
    assert offered.findData(str(run.path)) >= 0
    again.forget()
    assert again.predict.forms.config().edges == "mirror"
    with suppress(RuntimeError):
        again._end_all()


@pytest.mark.parametrize(
    ("shape", "size", "said"),
    [
        ((3, 3, 3), 108, "Gives 1 channel of 3 x 3 x 3 voxels (27), 0.11 kB."),
        ((40, 40, 40), 256_000, "Gives 1 channel of 40 x 40 x 40 voxels (64,000), 0.26 MB."),
        ((2000, 1000), 8_000_000, "Gives 1 channel of 2000 x 1000 voxels (2 million), 8 MB."),
    ],
)
def test_what_will_come_out_is_said_for_people(
    shape: tuple[int, ...], size: int, said: str
) -> None:
    assert describe(Planned(shape, 1, size, Roi((0,) * len(shape), shape))) == said


def test_a_narrow_dock_shows_everything(person: Person) -> None:
    assert person.dock.sizeHint().width() == WIDTH
    person.dock.resize(340, 800)
    for kind in (BOX, SHAPES, VOXELS):
        person.tab.region.kind_combo.setCurrentIndex(kind)
        person.tab.output.setOnDisk(True)
        assert person.tab.forms.scroll.widget().minimumSizeHint().width() <= 340
