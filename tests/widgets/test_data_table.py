"""The data table of the Train dock, used as a person would."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Layer
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from napari_dacapo_tasks.arrays import Channel, LabelsConfig
from napari_dacapo_tasks.arrays.ome_zarr import fill_image
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.widgets.data_table import DATA, SECOND_LINE, SHARE, USE
from napari_dacapo_tasks.widgets.row_block import block_at_end, share_at_end
from napari_dacapo_tasks.widgets.row_files_dialog import FilesDialog
from napari_dacapo_tasks.widgets.row_sources import FileSource
from napari_dacapo_tasks.widgets.session import Session
from napari_dacapo_tasks.widgets.train_data_panel import TrainDataPanel

PLACE = {"scale": (8, 8, 8), "units": ("nm",) * 3, "axis_labels": ("z", "y", "x")}
LABELS = LabelsConfig(channels=(Channel(name="balls"),))


@pytest.fixture
def viewer(make_napari_viewer: Any, volume: Any, small_task: Any) -> Any:
    viewer = make_napari_viewer()
    viewer.add_image(volume.raw, name="raw", **PLACE)
    labels = viewer.add_labels(volume.labels, name="labels", **PLACE)
    Session.of(viewer).update(task=small_task, labels_layer=labels, labels_config=LABELS)
    return viewer


class Person:
    """Somebody at the table, and what there is to be seen."""

    def __init__(self, qtbot: Any, viewer: Any) -> None:
        self.qtbot, self.viewer = qtbot, viewer
        self.panel = TrainDataPanel(viewer)
        self.panel.resize(340, 600)
        viewer.window.add_dock_widget(self.panel, name="Data")
        self.rows = self.panel.table
        self.table = self.rows.table
        self.form = self.rows.form

    def settle(self) -> None:
        """Wait until nothing is opened or checked any more."""
        self.qtbot.waitUntil(lambda: not self.rows.busy and not self.rows._timer.isActive())

    def names(self) -> list[str]:
        return [self.table.item(row, DATA).text() for row in range(self.table.rowCount())]

    def second(self, row: int) -> str:
        return str(self.table.item(row, DATA).data(SECOND_LINE))

    def shares(self) -> list[str]:
        return [self.table.item(row, SHARE).text() for row in range(self.table.rowCount())]

    def use(self, row: int, use: str) -> None:
        self.table.cellWidget(row, USE).setCurrentText(use)

    def add_layers(self, raw: Layer, labels: Layer) -> None:
        self.rows.addLayers()
        self.form.combos["raw"].set_layer(raw)
        self.form.combos["labels"].set_layer(labels)

    def add_paths(self, *paths: Path) -> None:
        self.rows.addPaths([str(path) for path in paths])
        self.settle()


@pytest.fixture
def person(qtbot: Any, viewer: Any) -> Person:
    return Person(qtbot, viewer)


def write(path: Path, array: Any, *, is_labels: bool = False) -> Path:
    for _ in fill_image(path, array, path.stem, is_labels=is_labels):
        pass
    return path


@pytest.fixture
def container(tmp_path: Path, volume: Any) -> Path:
    """An OME-Zarr image with labels."""
    folder = write(tmp_path / "crop.ome.zarr", volume.array(volume.raw))
    zarr.open_group(folder / "labels", mode="w", zarr_format=2)
    write(folder / "labels" / "balls", volume.array(volume.labels), is_labels=True)
    return folder


# The row that follows the layers


def test_a_beginner_has_one_row_of_the_layers_chosen_and_nothing_is_copied(
    person: Person, volume: Any
) -> None:
    assert person.names() == ["raw + labels"]
    assert person.second(0) == "40 × 40 × 40, 8 nm"
    assert person.shares() == ["100 %"]
    (row,) = person.panel.rows()
    assert np.shares_memory(row.raw.data, volume.raw)
    assert np.shares_memory(row.labels.data, volume.labels)
    assert (row.mask, row.use, row.validation_block) == (None, "train", None)
    assert person.panel.labels() == LABELS
    assert person.panel.sampling() == SamplingConfig()


def test_the_row_follows_what_is_chosen(person: Person, volume: Any) -> None:
    other = person.viewer.add_image(volume.raw[:30], name="other", **PLACE)
    person.panel.raw_combo.set_layer(other)
    assert person.names() == ["other + labels"]
    assert person.second(0) == "40 × 40 × 40, 8 nm in 30 × 40 × 40, 8 nm"
    other.name = "renamed"
    person.settle()
    assert person.names() == ["renamed + labels"]


def test_what_is_missing_is_said_as_before(person: Person) -> None:
    Session.of(person.viewer).update(labels_layer=None)
    with pytest.raises(DataError, match="choose its layer in the Task dock"):
        person.panel.rows()
    person.viewer.layers.remove("raw")
    person.settle()
    with pytest.raises(DataError, match="open an image layer and choose it as raw"):
        person.panel.rows()


# Rows of layers


def test_layers_are_added_and_their_shares_shown(person: Person, volume: Any) -> None:
    raw = person.viewer.layers["raw"]
    second = person.viewer.add_labels(volume.labels[:20], name="more", **PLACE)
    person.rows.addLayers()
    assert person.names() == ["raw + labels", "raw + more"]  # the only raw data again
    assert person.shares() == ["50 %", "50 %"]
    person.form.share.setValue(3)
    assert person.shares() == ["25 %", "75 %"]
    rows = person.panel.rows()
    assert [row.share for row in rows] == [1, 3]
    assert np.shares_memory(rows[1].raw.data, raw.data)
    assert np.shares_memory(rows[1].labels.data, second.data)
    person.use(1, "validate")
    assert person.shares() == ["100 %", ""]
    assert [row.use for row in person.panel.rows()] == ["train", "validate"]


def test_another_voxel_size_is_red_with_the_sentence_until_it_is_mended(
    person: Person, volume: Any
) -> None:
    coarse = {**PLACE, "scale": (16, 8, 8)}
    raw = person.viewer.add_image(volume.raw, name="coarse", **coarse)
    labels = person.viewer.add_labels(volume.labels, name="coarse labels", **coarse)
    person.add_layers(raw, labels)
    assert person.rows.refusals[0] == ""
    assert "16 x 8 x 8 nm" in person.rows.refusals[1]
    assert "16 x 8 x 8 nm" in person.form.refusal
    assert person.table.refusal(1) == person.rows.refusals[1]
    with pytest.raises(DataError, match=r"Crop 2 \('coarse \+ coarse labels'\)"):
        person.panel.rows()
    person.use(1, "off")
    assert len(person.panel.rows()) == 1
    assert person.table.refusal(1) == ""
    person.use(1, "train")
    for layer in (raw, labels):
        layer.scale = (8, 8, 8)
    person.settle()
    assert person.rows.refusals == ["", ""]
    assert len(person.panel.rows()) == 2


def test_voxels_of_raw_and_labels_of_one_row_are_compared(person: Person, volume: Any) -> None:
    person.viewer.layers["raw"].scale = (8, 8, 10)
    person.settle()
    assert "8 x 8 x 10 nm and the ground truth of 8 x 8 x 8 nm" in person.form.refusal
    with pytest.raises(DataError, match="bring both to the same voxel size"):
        person.panel.rows()


def test_raw_and_labels_that_lie_apart_are_told(person: Person) -> None:
    person.viewer.layers["raw"].translate = (8000, 0, 0)
    person.settle()
    assert "do not overlap" in person.form.refusal


def test_finer_ground_truth_is_for_networks_that_upsample(person: Person) -> None:
    person.viewer.layers["raw"].scale = (8, 8, 16)
    person.settle()
    assert person.form.refusal == ""


def test_a_removed_layer_is_told_and_nothing_takes_its_place(person: Person, volume: Any) -> None:
    raw = person.viewer.add_image(volume.raw, name="second", **PLACE)
    labels = person.viewer.add_labels(volume.labels, name="second labels", **PLACE)
    person.add_layers(raw, labels)
    person.viewer.layers.remove(raw)
    person.settle()
    assert person.names()[1] == "second + second labels"
    assert "The layer 'second' was removed" in person.form.refusal
    with pytest.raises(DataError, match="'second' was removed"):
        person.panel.rows()
    person.form.combos["raw"].set_layer(person.viewer.layers["raw"])
    assert person.names()[1] == "raw + second labels"
    assert len(person.panel.rows()) == 2


def test_rows_that_validate_fit_together_with_each_other(person: Person) -> None:
    person.use(0, "validate")
    for use in ("validate", "train"):
        person.rows.copy_button.click()
        person.use(person.table.currentRow(), use)
    assert person.rows.refusals == ["", "", ""]
    assert [row.use for row in person.panel.rows()] == ["validate", "validate", "train"]


def test_at_least_one_row_trains(person: Person) -> None:
    person.use(0, "validate")
    with pytest.raises(ConfigError, match="No crop trains"):
        person.panel.rows()


def test_rows_are_duplicated_removed_and_brought_back(person: Person, qtbot: Any) -> None:
    assert not person.rows.remove_button.isEnabled()
    person.form.block.box.setChecked(True)
    person.rows.copy_button.click()
    assert person.table.currentRow() == 1
    copy = person.rows.tableRows()[1]
    assert copy.block is not None
    assert not copy.follows
    person.use(1, "validate")
    qtbot.keyClick(person.table, Qt.Key.Key_Delete)
    assert len(person.names()) == 1
    assert person.rows.undo_button.isVisibleTo(person.panel)
    person.rows.undo_button.click()
    assert [row.use for row in person.rows.tableRows()] == ["train", "validate"]
    assert not person.rows.undo_button.isVisibleTo(person.panel)


def test_without_the_first_row_nothing_follows_the_layers(person: Person) -> None:
    person.rows.copy_button.click()
    person.table.selectRow(0)
    person.rows.remove_button.click()
    assert person.panel.raw_layer() is None
    assert not person.panel.raw_combo.isVisibleTo(person.panel)
    assert "ground truth" not in person.panel.text
    assert person.panel.known()[1] is not None
    person.rows.undo_button.click()
    assert person.panel.raw_layer().name == "raw"
    assert person.panel.raw_combo.isVisibleTo(person.panel)


def test_a_network_is_proposed_for_the_smallest_crop(person: Person, volume: Any) -> None:
    small = person.viewer.add_labels(volume.labels[:20], name="small", **PLACE)
    person.rows.addLayers()
    raw, truth = person.panel.known()
    assert np.shares_memory(raw.data, volume.raw)
    assert np.shares_memory(truth.labels.data, small.data)
    person.use(1, "off")
    assert person.panel.known()[1].labels.shape == (40, 40, 40)


def test_raw_data_alone_is_known(person: Person) -> None:
    Session.of(person.viewer).update(labels_layer=None)
    raw, truth = person.panel.known()
    assert raw is not None
    assert truth is None


# Files


def test_a_container_that_is_dropped_is_a_row_that_is_read_lazily(
    person: Person, container: Path
) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(container))])
    event = QDropEvent(
        QPointF(20, 40),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    person.table.dropEvent(event)
    person.settle()
    assert person.names() == ["raw + labels", "crop.ome.zarr + labels/balls"]
    assert person.second(1) == "40 × 40 × 40, 8 nm"
    rows = person.panel.rows()
    assert rows[1].raw_path == str(container)
    assert not isinstance(rows[1].raw.data, np.ndarray)


def test_files_stand_alone_where_no_layers_are_chosen(
    qtbot: Any, make_napari_viewer: Any, small_task: Any, container: Path
) -> None:
    viewer = make_napari_viewer()
    Session.of(viewer).update(task=small_task, labels_config=LABELS)
    person = Person(qtbot, viewer)
    person.add_paths(container)
    assert person.names() == ["crop.ome.zarr + labels/balls"]
    assert len(person.panel.rows()) == 1
    assert not person.panel.task_button.isVisibleTo(person.panel)
    raw, truth = person.panel.known()
    assert raw is not None
    assert truth is not None


def test_single_files_are_paired_by_what_they_seem_to_be(
    person: Person, tmp_path: Path, volume: Any
) -> None:
    tifffile.imwrite(tmp_path / "a_labels.tif", volume.labels)
    tifffile.imwrite(tmp_path / "a.tif", volume.raw)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for name in ("raw", "labels", "mask"):
            file[name] = np.ones((40, 40, 40), np.uint8)
            file[name].attrs["voxel_size"] = (8, 8, 8)
    person.add_paths(*(tmp_path / name for name in ("a_labels.tif", "b.h5", "a.tif")))
    found = [
        tuple(None if one is None else one.name for one in (row.raw, row.labels, row.mask))
        for row in person.rows.tableRows()[1:]
    ]
    assert sorted(found) == [
        ("a.tif", "a_labels.tif", None),
        ("b.h5:raw", "b.h5:labels", "b.h5:mask"),
    ]
    # A TIFF without a voxel size is no part of a run in nanometres.
    said = person.rows.refusals
    assert sum("unit" in one for one in said) == 1


def test_a_file_that_does_not_open_is_told_in_its_row(person: Person, tmp_path: Path) -> None:
    (tmp_path / "broken.tif").write_bytes(b"nothing of the kind")
    person.add_paths(tmp_path / "broken.tif")
    assert "broken.tif" in person.rows.refusals[1]
    assert person.rows.refusals[0] == ""
    person.rows.remove_button.click()
    assert len(person.panel.rows()) == 1


def test_a_file_that_is_gone_is_told(person: Person, container: Path) -> None:
    person.add_paths(container)
    assert person.rows.refusals == ["", ""]
    shutil.rmtree(container)
    person.qtbot.waitUntil(lambda: "is there no more" in person.rows.refusals[1])
    with pytest.raises(DataError, match="is there no more"):
        person.panel.rows()


@pytest.fixture
def dialog(qtbot: Any, person: Person) -> Iterator[FilesDialog]:
    person.rows.files_action.trigger()
    assert person.rows.dialog is not None
    yield person.rows.dialog
    if person.rows.dialog is not None:
        person.rows.dialog.close()


def wait_for(qtbot: Any, dialog: FilesDialog) -> None:
    qtbot.waitUntil(lambda: not any(edit.busy for edit in dialog.edits.values()))


def test_the_dialog_adds_rows_one_after_the_other(
    qtbot: Any, person: Person, dialog: FilesDialog, container: Path
) -> None:
    for number in (2, 3):
        assert not dialog.add_button.isEnabled()
        dialog.edits["raw"].setPath(str(container))
        dialog.edits["labels"].setPath(str(container / "labels" / "balls"))
        wait_for(qtbot, dialog)
        dialog.add_button.click()
        assert len(person.names()) == number
    person.settle()
    assert person.rows.refusals == ["", "", ""]


def test_the_dialog_says_why_there_is_nothing(
    qtbot: Any, dialog: FilesDialog, tmp_path: Path
) -> None:
    dialog.edits["raw"].setPath(str(tmp_path / "nothing.tif"))
    wait_for(qtbot, dialog)
    assert "nothing.tif" in dialog.edits["raw"].refusal
    assert not dialog.add_button.isEnabled()


def test_the_arrays_of_a_file_are_offered(qtbot: Any, dialog: FilesDialog, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for name in ("raw", "labels"):
            file[name] = np.ones((40, 40, 40), np.uint8)
    edit = dialog.edits["labels"]
    edit.setPath(str(tmp_path / "b.h5"))
    wait_for(qtbot, dialog)
    assert edit.source() is None
    offered = [edit.datasets.itemText(index) for index in range(edit.datasets.count())]
    assert sorted(offered) == ["labels", "raw"]
    index = offered.index("labels")
    edit.datasets.setCurrentIndex(index)
    edit.datasets.activated.emit(index)
    wait_for(qtbot, dialog)
    assert edit.source().path == f"{tmp_path / 'b.h5'}:labels"
    assert edit.datasets.count() == 2


def test_files_of_a_row_are_changed(
    qtbot: Any, person: Person, container: Path, tmp_path: Path, volume: Any
) -> None:
    other = write(tmp_path / "other.ome.zarr", volume.array(volume.raw))
    person.add_paths(container)
    person.use(1, "validate")
    person.form.files_button.click()
    dialog = person.rows.dialog
    assert dialog is not None
    wait_for(qtbot, dialog)
    assert dialog.edits["raw"].path() == str(container)
    dialog.edits["raw"].setPath(str(other))
    wait_for(qtbot, dialog)
    dialog.add_button.click()
    row = person.rows.tableRows()[1]
    assert row.raw.path == str(other)
    assert row.use == "validate"
    qtbot.waitUntil(lambda: person.rows.dialog is None)


def test_rows_come_from_a_table_of_dacapo(person: Person, container: Path) -> None:
    table = container.parent / "split.csv"
    table.write_text(
        "train,crop.ome.zarr,,crop.ome.zarr,labels/balls\nval,crop.ome.zarr,,nothing.zarr,labels\n"
    )
    person.add_paths(table)
    assert [row.use for row in person.rows.tableRows()] == ["train", "train", "validate"]
    assert person.rows.refusals[:2] == ["", ""]
    assert "nothing.zarr" in person.rows.refusals[2]


def test_a_table_that_is_none_is_told(person: Person, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    person.add_paths(tmp_path / "empty.csv")
    assert "empty.csv" in person.rows.notice.text
    assert len(person.names()) == 1


# Validation blocks


@given(
    st.integers(1, 90),
    st.lists(st.integers(2, 400), min_size=2, max_size=3).flatmap(
        lambda shape: st.tuples(st.just(shape), st.integers(0, len(shape) - 1))
    ),
)
def test_a_share_is_found_again_in_its_block(percent: int, place: tuple[list[int], int]) -> None:
    shape, axis = place
    block = block_at_end(percent, axis, shape)
    begin, end = block.split(",")[axis].split(":")
    assert int(end) == shape[axis]
    assert 0 <= int(begin) < shape[axis]
    found = share_at_end(block, shape)
    assert found is not None
    assert block_at_end(*found, shape) == block


def test_a_share_of_an_axis_validates(person: Person) -> None:
    block = person.form.block
    block.box.setChecked(True)
    assert person.panel.rows()[0].validation_block == "32:40,:,:"
    assert block.line.text() == "32:40,:,:"
    block.percent.setValue(50)
    block.axis.setCurrentText("x")
    assert person.panel.rows()[0].validation_block == ":,:,20:40"
    raw, truth = person.panel.known()
    assert raw.shape == (40, 40, 20)
    assert truth.roi.shape[2] < 20 * 8  # targets near the block know of it
    block.box.setChecked(False)
    assert person.panel.rows()[0].validation_block is None


def enter_block(person: Person, text: str) -> None:
    person.form.block.box.setChecked(True)
    person.form.block.line.setText(text)
    person.form.block.line.editingFinished.emit()


def test_exact_slices_validate(person: Person) -> None:
    enter_block(person, "3:10,:,5:")
    assert person.panel.rows()[0].validation_block == "3:10,:,5:"
    assert not person.form.block.percent.isEnabled()
    enter_block(person, "30:40,:,:")
    assert person.form.block.percent.value() == 25
    assert person.form.block.percent.isEnabled()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("last ones", "is no block"),
        ("50:60,:,:", "is empty"),
        ("0:20,:", "as many ranges as the ground truth has axes, 3"),
    ],
)
def test_a_block_that_is_none_is_refused(person: Person, text: str, said: str) -> None:
    enter_block(person, text)
    assert said in person.form.refusal
    assert person.form.block.line.property("refused")
    with pytest.raises(DataError, match=said):
        person.panel.rows()
    person.form.block.box.setChecked(False)
    assert person.form.refusal == ""


# Runs in a folder


def test_a_run_in_a_folder_is_shown_but_not_changed(
    person: Person, make_run: Callable[..., RunFolder]
) -> None:
    run = make_run(validation_block="0:10,:,:")
    person.form.share.setValue(2)
    person.panel.setRun(run.config)
    assert person.names() == [run.config.data.crops[0].name or "raw.ome.zarr + labels.ome.zarr"]
    assert "0:10,:,:" in person.second(0)
    assert not person.table.cellWidget(0, USE).isEnabled()
    assert not person.rows.add_button.isVisibleTo(person.panel)
    assert not person.panel.sampling_form.isEnabled()
    person.panel.setRun(None)
    assert person.names() == ["raw + labels"]
    assert person.rows.tableRows()[0].share == 2
    assert person.rows.add_button.isVisibleTo(person.panel)
    assert person.panel.sampling_form.isEnabled()


def test_nothing_is_changed_while_a_run_trains(person: Person) -> None:
    person.panel.setEditable(False)
    assert not person.table.cellWidget(0, USE).isEnabled()
    assert not person.form.isEnabled()
    assert not person.panel.raw_combo.isEnabled()
    person.panel.setEditable(True)
    assert person.form.isEnabled()


def test_sampling_that_is_refused_is_told(person: Person) -> None:
    editor = person.panel.sampling_form.editor("rare_labels")
    editor.setValue(2)
    editor.changed.emit()
    with pytest.raises(ConfigError, match="Rare labels must be less than or equal to 1"):
        person.panel.sampling()


def test_a_changed_row_is_told(person: Person, qtbot: Any) -> None:
    with qtbot.waitSignal(person.panel.changed):
        person.form.block.box.setChecked(True)
    with qtbot.waitSignal(person.panel.changed):
        person.rows.copy_button.click()


def test_sources_say_while_they_are_opened() -> None:
    with pytest.raises(DataError, match="is being opened"):
        FileSource("somewhere.zarr").array()
