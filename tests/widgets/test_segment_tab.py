"""The Segment tab, driven as a person would drive it."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtWidgets import QAbstractSpinBox, QFileDialog, QMessageBox, QTabWidget, QWidget

from napari_dacapo_tasks.arrays import Array, Channel, GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.arrays.growing_image import GrowingImage
from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.prediction.stored import prediction_attrs
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.segmentation import blocks
from napari_dacapo_tasks.tasks import DistanceTaskConfig, OneHotTaskConfig, TaskConfig
from napari_dacapo_tasks.tasks.affinities import AffinitiesTaskConfig
from napari_dacapo_tasks.tasks.preview import Preview, preview
from napari_dacapo_tasks.widgets import segment_tab, segment_work
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.predict_session import PredictSession, ShownPrediction
from napari_dacapo_tasks.widgets.result_layers import Anchor, is_result
from napari_dacapo_tasks.widgets.segment_tab import SegmentTab

LENGTHS = {"scale_factor": 16, "clip_distance": 80, "tol_distance": 8}
DISTANCE = DistanceTaskConfig(name="balls", channels=["balls"], **LENGTHS)
WATERSHED, COMPONENTS = "watershed", "components"


def target_of(config: TaskConfig, labels: Array, channels: LabelsConfig) -> NumpyArray:
    *_, made = preview(config, GroundTruth(labels, channels), labels.roi)
    assert isinstance(made, Preview)
    return made.target


class Desk:
    """A viewer with raw data and the tab, and hands."""

    def __init__(self, viewer: Any, qtbot: Any, raw: NDArray[Any], **place: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.raw = viewer.add_image(raw.astype(np.float32), name="raw", **place)
        self.session = PredictSession()
        self.errors: list[BaseException] = []
        self.tab = SegmentTab(viewer, self.session)
        self.tab.failed.connect(self.errors.append)
        self.tabs = QTabWidget()
        self.tabs.addTab(self.tab, "Segment")
        self.tabs.addTab(QWidget(), "Score")
        viewer.window.add_dock_widget(self.tabs, area="right")

    def predict(
        self,
        config: TaskConfig,
        labels: NDArray[Any],
        channels: LabelsConfig | None = None,
        **more: Any,
    ) -> None:
        """Hand on a perfect prediction."""
        raw = array_of(self.raw)
        placed = NumpyArray.from_np_array(labels, raw.roi, raw.voxel_size, raw.axes, raw.unit)
        channels = channels or LabelsConfig(channels=(Channel(name="balls"),))
        prediction = Prediction(target_of(config, placed, channels), config, "a run", **more)
        self.session.set_prediction(ShownPrediction(prediction, Anchor.at_layer(self.raw)))
        self.settle()

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: not self.tab.running)
        assert self.errors == []

    def named(self, beginning: str) -> list[Labels]:
        return [one for one in self.viewer.layers if one.name.startswith(beginning)]

    @property
    def previews(self) -> list[Labels]:
        return self.named("segmentation (preview)")

    @property
    def wholes(self) -> list[Labels]:
        return self.named("segmentation (a run)")

    def segment_all(self) -> None:
        self.tab.controls.segment_button.click()
        self.settle()

    def choose(self, word: str) -> None:
        combo = self.tab.chooser.combo
        titles = [combo.itemText(index).lower() for index in range(combo.count())]
        combo.setCurrentIndex(next(i for i, title in enumerate(titles) if word in title))
        combo.activated.emit(combo.currentIndex())
        self.settle()

    def type_into(self, name: str, text: str) -> None:
        spin = self.tab.chooser.form.editor(name).findChild(QAbstractSpinBox)
        spin.lineEdit().setText(text)
        spin.interpretText()
        spin.editingFinished.emit()
        self.settle()

    def answer(self, text: str) -> None:
        question = self.tab.findChild(QMessageBox)
        assert question is not None
        next(one for one in question.buttons() if one.text().replace("&", "") == text).click()
        self.settle()


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    return make_napari_viewer(show=False)


@pytest.fixture
def desk(viewer: Any, qtbot: Any, balls: NDArray[Any], place: dict[str, Any]) -> Any:
    desk = Desk(viewer, qtbot, balls, **place)
    yield desk
    desk.tab.end()


def same_parts(segmentation: NDArray[Any], truth: NDArray[Any]) -> bool:
    pairs = {(int(a), int(b)) for a, b in zip(segmentation.ravel(), truth.ravel(), strict=True)}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_without_a_prediction_there_is_nothing_to_click(desk: Desk) -> None:
    assert not desk.tab.controls.segment_button.isEnabled()
    assert "no prediction yet" in desk.tab.controls.source_label.text()


def test_a_prediction_is_previewed_around_the_view_at_once(desk: Desk, balls: NDArray[Any]) -> None:
    desk.predict(DISTANCE, balls)
    (layer,) = desk.previews
    assert np.array_equal(layer.data != 0, balls != 0)
    np.testing.assert_allclose(layer.translate, desk.raw.translate)
    np.testing.assert_allclose(layer.scale, desk.raw.scale)
    assert layer.units == desk.raw.units
    assert desk.tab.controls.preview_label.text() == "Preview: segmented in all of it."


def test_the_preview_is_a_box_that_follows_the_view(desk: Desk, balls: NDArray[Any]) -> None:
    desk.predict(DISTANCE, balls)
    desk.tab.controls.size_box.setValue(16)
    desk.settle()
    (layer,) = desk.previews
    assert layer.data.shape == (16, 16, 16)
    for corner in ((80, 160, 240), (80 + 31 * 8, 160 + 31 * 8, 240 + 31 * 8)):
        desk.viewer.dims.set_point(0, corner[0])
        desk.viewer.scene.camera.center = (0, *corner[1:])
        desk.qtbot.waitUntil(lambda: not desk.tab.running)
        (layer,) = desk.previews
        begin = np.round((layer.translate - desk.raw.translate) / 8).astype(int)
        assert tuple(begin) == ((0, 0, 0) if corner[0] == 80 else (16, 16, 16))
        part = tuple(slice(b, b + 16) for b in begin)
        assert np.array_equal(layer.data != 0, balls[part] != 0)


def test_a_raised_threshold_shrinks_the_preview_at_once(desk: Desk, balls: NDArray[Any]) -> None:
    desk.predict(DISTANCE, balls)
    before = np.count_nonzero(desk.previews[0].data)
    desk.type_into("threshold", "0.5")
    (layer,) = desk.previews
    assert 0 < np.count_nonzero(layer.data) < before


def test_without_the_box_nothing_is_previewed(desk: Desk, balls: NDArray[Any]) -> None:
    desk.tab.controls.live_box.click()
    desk.predict(DISTANCE, balls)
    assert desk.previews == []
    desk.tab.controls.live_box.click()
    desk.settle()
    assert len(desk.previews) == 1
    desk.tab.controls.live_box.click()
    desk.settle()
    assert desk.previews == []


def test_all_is_segmented_and_handed_on(desk: Desk, balls: NDArray[Any]) -> None:
    desk.predict(DISTANCE, balls)
    desk.choose(WATERSHED)
    desk.segment_all()
    (layer,) = desk.wholes
    assert desk.previews == []  # all of it is there
    assert same_parts(layer.data, balls)
    assert desk.tab.controls.result_label.text().startswith("3 objects, in ")
    segmentation = desk.session.segmentation
    assert segmentation is not None
    assert segmentation.layers == (layer.name,)
    assert segmentation.method == desk.tab.chooser.combo.currentIndex()
    assert segmentation.array.num_channels == 1
    assert is_result(layer)


def test_while_a_preview_is_shown_the_whole_is_out_of_sight(
    desk: Desk, balls: NDArray[Any]
) -> None:
    desk.predict(DISTANCE, balls)
    desk.segment_all()
    (whole,) = desk.wholes
    desk.type_into("threshold", "0.3")
    assert len(desk.previews) == 1
    assert not whole.visible
    desk.tabs.setCurrentIndex(1)  # to another tab
    assert desk.previews == []
    assert whole.visible
    desk.tabs.setCurrentIndex(0)
    desk.settle()
    assert len(desk.previews) == 1
    desk.type_into("threshold", "0")
    assert desk.previews == []
    assert whole.visible


def test_a_second_segmentation_takes_the_place_of_the_first(
    desk: Desk, balls: NDArray[Any]
) -> None:
    desk.predict(DISTANCE, balls)
    desk.segment_all()
    (first,) = desk.wholes
    first.opacity = 0.3
    desk.type_into("threshold", "0.3")
    desk.segment_all()
    (second,) = desk.wholes
    assert second is first
    assert second.opacity == pytest.approx(0.3)


@pytest.mark.parametrize("answer", ["Keep them", "Replace them", "Cancel"])
def test_edited_labels_are_not_replaced_unasked(
    desk: Desk, balls: NDArray[Any], answer: str
) -> None:
    desk.predict(DISTANCE, balls)
    desk.choose(WATERSHED)
    desk.segment_all()
    (layer,) = desk.wholes
    layer.paint((2, 2, 2), 77)
    assert desk.tab.controls.result_label.text().endswith("edited since.")
    desk.type_into("threshold", "0.3")
    desk.segment_all()
    assert np.any(layer.data == 77)  # nothing has happened yet
    desk.answer(answer)
    wholes = desk.wholes
    if answer == "Keep them":
        kept, new = wholes
        assert kept.name == "segmentation (a run) (edited)"
        assert np.any(kept.data == 77)
        assert not is_result(kept)
        assert not np.any(new.data == 77)
        new.undo()
        assert not np.any(new.data == 77)
    else:
        assert len(wholes) == 1
        assert np.any(wholes[0].data == 77) == (answer == "Cancel")


def test_edits_are_part_of_what_is_handed_on(desk: Desk, balls: NDArray[Any]) -> None:
    desk.predict(DISTANCE, balls)
    desk.segment_all()
    (layer,) = desk.wholes
    layer.paint((0, 0, 0), 5)
    segmentation = desk.session.segmentation
    assert segmentation is not None
    assert np.any(segmentation.array[segmentation.array.roi] == 5)
    layer.undo()
    assert not np.any(layer.data == 5)


def test_the_labels_are_saved_with_their_edits(
    desk: Desk, balls: NDArray[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "labels.ome.zarr"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    desk.predict(DISTANCE, balls)
    assert not desk.tab.controls.save_button.isEnabled()
    desk.segment_all()
    desk.wholes[0].paint((0, 0, 0), 5)
    desk.tab.controls.save_button.click()
    desk.settle()
    stored = open_array(path)
    assert np.array_equal(stored[stored.roi], desk.wholes[0].data)
    assert tuple(stored.voxel_size) == (8, 8, 8)
    assert tuple(stored.roi.begin) == (80, 160, 240)
    desk.tab.controls.save_button.click()  # the folder is taken now
    desk.qtbot.waitUntil(lambda: bool(desk.errors))
    assert str(path) in str(desk.errors.pop())


def test_a_segmentation_in_a_folder_is_shown_from_there(
    desk: Desk, balls: NDArray[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "labels.ome.zarr"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    desk.predict(DISTANCE, balls)
    desk.choose(COMPONENTS)
    desk.tab.controls.into_combo.setCurrentIndex(1)
    desk.segment_all()
    (layer,) = desk.wholes
    assert not layer.editable
    assert not desk.tab.controls.save_button.isEnabled()
    assert str(path) in desk.tab.controls.result_label.text()
    stored = open_array(path)
    assert same_parts(stored[stored.roi][0], balls)
    desk.viewer.dims.set_point(0, 80 + 10 * 8)
    shown = lambda: np.asarray(layer.data[0][10])  # noqa: E731
    desk.qtbot.waitUntil(lambda: bool(shown().any()))
    desk.qtbot.waitUntil(lambda: same_parts(shown(), balls[10]))
    assert desk.session.segmentation is not None

    desk.type_into("threshold", "0.3")
    desk.tab.controls.segment_button.click()  # the folder is taken now
    desk.qtbot.waitUntil(lambda: desk.tab.findChild(QMessageBox) is not None)
    desk.answer("Overwrite")
    smaller = open_array(path)
    assert 0 < np.count_nonzero(smaller[smaller.roi]) < np.count_nonzero(balls)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Segment in four blocks, and write no more than the first one until it is set."""
    go, written, write = Event(), [], GrowingImage.write

    def waiting(self: GrowingImage, *block: Any) -> None:
        written.append(block)
        if len(written) > 1:
            go.wait()
        write(self, *block)

    monkeypatch.setattr(GrowingImage, "write", waiting)
    in_blocks = partial(blocks.segment_blockwise, block_shape=(8, 32, 32), workers=1)
    monkeypatch.setattr(blocks, "segment_blockwise", in_blocks)
    monkeypatch.setattr(segment_work, "LOOK_SECONDS", 0)
    yield go
    go.set()


def test_a_segmentation_in_a_folder_is_shown_while_it_fills(
    desk: Desk,
    balls: NDArray[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    held: Event,
) -> None:
    path = tmp_path / "labels.ome.zarr"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    desk.predict(DISTANCE, balls)
    desk.segment_all()
    assert desk.session.segmentation is not None
    controls = desk.tab.controls
    controls.into_combo.setCurrentIndex(1)
    controls.segment_button.click()
    desk.qtbot.waitUntil(lambda: bool(desk.wholes) and desk.wholes[0].multiscale, timeout=60_000)
    assert desk.previews == []
    (layer,) = desk.wholes
    expected = (balls != 0).astype(layer.data[0].dtype)
    seen = lambda z: np.asarray(layer.data[0][z])  # noqa: E731
    desk.qtbot.waitUntil(lambda: np.array_equal(seen(7), expected[7]), timeout=60_000)
    assert not seen(8).any()
    assert desk.session.segmentation is None, "the one before is gone"

    controls.stop_button.click()
    held.set()  # what is under way comes to its end
    desk.settle()
    assert controls.result_label.text().startswith("Stopped: the layers keep what there is.")
    assert str(path) in controls.result_label.text()
    assert not controls.save_button.isEnabled()
    assert [one is layer for one in desk.wholes] == [True]
    assert desk.session.segmentation is None
    stored = open_array(path)
    part = stored[stored.roi][0]
    assert np.array_equal(part[:8], expected[:8])
    assert not part[16:].any(), "the third block was not begun"

    controls.segment_button.click()
    desk.qtbot.waitUntil(lambda: desk.tab.findChild(QMessageBox) is not None, timeout=60_000)
    desk.answer("Resume")
    (layer,) = desk.wholes
    for z in range(0, 32, 4):
        desk.qtbot.waitUntil(lambda z=z: np.array_equal(seen(z), expected[z]), timeout=60_000)
    assert desk.session.segmentation is not None


def test_a_prediction_on_disk_is_opened(
    desk: Desk, balls: NDArray[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.predict(DISTANCE, balls)
    shown = desk.session.prediction
    assert shown is not None
    array = shown.prediction.array
    image = GrowingImage.create(
        tmp_path / "stored.ome.zarr",
        roi=array.roi,
        voxel_size=array.voxel_size,
        unit=array.unit,
        axes=array.axes,
        num_channels=array.num_channels,
        dtype=array.dtype,
        name="prediction",
        attrs=prediction_attrs(DISTANCE, "a run"),
    )
    image.write(array.roi, array[array.roi])
    for _ in image.finish():
        pass
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(image.path))
    desk.tab.controls.open_button.click()
    desk.qtbot.waitUntil(lambda: desk.session.prediction is not shown)
    desk.settle()
    desk.choose(WATERSHED)
    desk.segment_all()
    (layer,) = desk.wholes
    assert same_parts(layer.data, balls)
    np.testing.assert_allclose(layer.translate, desk.raw.translate)


def test_a_prediction_that_does_not_say_its_task_is_opened_with_its_run(
    desk: Desk,
    tmp_path: Path,
    make_run: Callable[..., RunFolder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run()
    plain = NumpyArray(np.zeros((1, 8, 8, 8), np.float32), axes="czyx", voxel_size=(8, 8, 8))
    path = tmp_path / "plain.ome.zarr"
    for _ in write_ome_zarr(path, plain, "plain"):
        pass
    answers = [str(path), str(run.path)]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: answers.pop(0))
    desk.tab.controls.open_button.click()
    desk.qtbot.waitUntil(lambda: desk.session.prediction is not None)
    shown = desk.session.prediction
    assert shown is not None
    assert shown.prediction.task == run.task
    assert shown.prediction.run == run.path
    desk.settle()


def test_parameters_of_a_sweep_segment_all(desk: Desk, balls: NDArray[Any]) -> None:
    desk.predict(DISTANCE, balls)
    desk.tabs.setCurrentIndex(1)
    method = desk.tab.chooser.titles.index(
        next(one for one in desk.tab.chooser.titles if WATERSHED in one.lower())
    )
    default = DISTANCE.task_type(DISTANCE).methods[method].post_processor.default
    wanted = default.model_copy(update={"threshold": 0.25})
    desk.session.parametersChosen.emit(method, wanted)
    desk.settle()
    assert desk.tab.chooser.combo.currentIndex() == method
    assert desk.tab.chooser.form.value() == wanted
    segmentation = desk.session.segmentation
    assert segmentation is not None
    assert segmentation.parameters == wanted
    assert len(desk.wholes) == 1


def test_several_channels_are_layers_of_which_one_is_seen(desk: Desk, balls: NDArray[Any]) -> None:
    config = DistanceTaskConfig(name="two", channels=["large", "small"], **LENGTHS)
    channels = LabelsConfig(
        channels=(Channel(name="large", labels=(1,)), Channel(name="small", labels=(2, 3)))
    )
    desk.predict(config, balls, channels)
    desk.choose(WATERSHED)
    desk.segment_all()
    large, small = desk.wholes
    assert large.name == "segmentation (a run): large"
    assert small.name == "segmentation (a run): small"
    assert (large.visible, small.visible) == (True, False)
    assert np.array_equal(large.data != 0, balls == 1)
    assert np.array_equal(small.data != 0, balls > 1)
    assert "1 large, 2 small" in desk.tab.controls.result_label.text()
    assert desk.session.segmentation is not None
    assert len(desk.session.segmentation.layers) == 2


def test_classes_keep_their_names_and_affinities_their_objects(
    desk: Desk, balls: NDArray[Any]
) -> None:
    desk.predict(OneHotTaskConfig(name="kinds", classes=["none", "a", "b", "c"]), balls)
    desk.segment_all()
    (layer,) = desk.wholes
    assert np.array_equal(layer.data, balls)
    assert list(layer.features["class"])[:4] == ["none", "a", "b", "c"]
    nearest = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    desk.predict(AffinitiesTaskConfig(name="affs", neighborhood=nearest), balls)
    desk.segment_all()
    (layer,) = desk.wholes
    assert same_parts(layer.data, balls)


def test_a_prediction_that_does_not_fit_its_task_is_told(desk: Desk, balls: NDArray[Any]) -> None:
    raw = array_of(desk.raw)
    wrong = NumpyArray.from_np_array(
        np.zeros((1, *balls.shape), np.float32), raw.roi, raw.voxel_size, ("c", *raw.axes)
    )
    config = AffinitiesTaskConfig(name="affs", neighborhood=[(1, 0, 0), (0, 1, 0)])
    prediction = Prediction(wrong, config, "a run")
    desk.session.set_prediction(ShownPrediction(prediction, Anchor.at_layer(desk.raw)))
    desk.qtbot.waitUntil(lambda: bool(desk.errors))
    assert "channels" in str(desk.errors.pop())
    desk.settle()
    assert desk.tab.controls.segment_button.isEnabled()


def test_another_prediction_leaves_what_was_made_of_the_first_to_be_replaced(
    desk: Desk, balls: NDArray[Any]
) -> None:
    desk.predict(DISTANCE, balls)
    desk.segment_all()
    desk.predict(DISTANCE, np.roll(balls, 2, axis=0))
    assert desk.session.segmentation is None
    assert not desk.tab.controls.save_button.isEnabled()
    desk.segment_all()
    (layer,) = desk.wholes
    assert np.array_equal(layer.data != 0, np.roll(balls, 2, axis=0) != 0)


def test_stop_ends_the_work_and_leaves_the_tab_ready(
    desk: Desk, balls: NDArray[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[bool] = []

    def endless(_request: Any) -> Any:
        try:
            while True:
                yield 0.5
        finally:
            left.append(True)

    desk.predict(DISTANCE, balls)
    controls = desk.tab.controls
    monkeypatch.setattr(segment_tab, "segmented", endless)
    controls.segment_button.click()
    desk.qtbot.waitUntil(lambda: controls.bar.value() == 50)
    assert not controls.segment_button.isEnabled()
    controls.stop_button.click()
    desk.settle()
    assert left == [True]
    assert controls.segment_button.isEnabled()
    assert desk.wholes == []
    monkeypatch.undo()
    desk.segment_all()
    assert len(desk.wholes) == 1


def test_flat_images_are_segmented_as_well(
    viewer: Any, qtbot: Any, balls: NDArray[Any], place: dict[str, Any]
) -> None:
    flat = {name: values[1:] for name, values in place.items()}
    desk = Desk(viewer, qtbot, balls[10], **flat)
    desk.predict(DISTANCE, balls[10])
    desk.choose(COMPONENTS)
    assert len(desk.previews) == 1
    desk.segment_all()
    (layer,) = desk.wholes
    assert same_parts(layer.data, balls[10])
    np.testing.assert_allclose(layer.translate, desk.raw.translate)
    desk.tab.end()


def test_a_removed_layer_comes_back_with_the_next_segmentation(
    desk: Desk, balls: NDArray[Any]
) -> None:
    desk.predict(DISTANCE, balls)
    desk.segment_all()
    desk.viewer.layers.remove(desk.wholes[0])
    desk.type_into("threshold", "0.1")
    desk.segment_all()
    assert len(desk.wholes) == 1
