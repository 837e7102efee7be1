"""What TensorBoard is told is what training told."""

from __future__ import annotations

import sys
from io import BytesIO

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import ConfigError, RunError
from napari_dacapo_tasks.runs.scores import Score
from napari_dacapo_tasks.training.events import (
    Notice,
    Snapshot,
    Started,
    Stepped,
    Validated,
)
from napari_dacapo_tasks.training.tensorboard import FOLDER, TensorBoard

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read(folder):
    """Give numbers and pictures as TensorBoard shows them: by name and iteration."""
    found = accumulator.EventAccumulator(str(folder / FOLDER), {"scalars": 0, "images": 0})
    found.Reload()
    tags = found.Tags()
    numbers = {
        tag: [(one.step, pytest.approx(one.value)) for one in found.Scalars(tag)]
        for tag in tags["scalars"]
    }
    pictures = {
        tag: {one.step: pixels(one.encoded_image_string) for one in found.Images(tag)}
        for tag in tags["images"]
    }
    return numbers, pictures


def pixels(encoded):
    from PIL import Image

    return np.asarray(Image.open(BytesIO(encoded)))[..., 0]


def snapshot(iteration, shape=(3, 4, 5), least=0.0):
    def array(values, size):
        space = Coordinate(size[1:])
        axes = ["c", *"zyx"[-len(space) :]]
        values = np.full(size, values, np.float32)
        return NumpyArray.from_np_array(values, Roi(space * 0, space), space * 0 + 1, axes)

    target = array(0.25, (2, *shape))
    target.data[:, 0] = least
    raw = array(0.0, (1, *shape))
    raw.data[0, len(raw.data[0]) // 2] = -0.2
    weight = array(0.5, (2, *shape))
    weight.data[0, 0] = 2.0
    return Snapshot(iteration, ["z 1", "a/b"], raw, target, weight, array(7.0, (2, *shape)))


def step(iteration, loss):
    return Stepped(iteration, loss, seconds=0.5, waited=0.1, learning_rate=1e-3)


SCORES = {
    "crop 0": {"mito": {"dice": 0.5, "voi": 2.0}, "er": {"dice": 0.7, "voi": float("nan")}},
    "crop 1": {"mito": {"dice": 0.9, "voi": 4.0}},
}


def test_numbers_are_there(tmp_path):
    score = Score(2, "dice", 0.65, 0.3, SCORES, "threshold", 1.0)
    with TensorBoard(tmp_path) as board:
        for event in (
            Started(0, 10, "CPU", 5),
            Notice("nothing to draw"),
            step(1, 0.9),
            step(2, 0.8),
            Validated(2, score, is_best=True),
        ):
            board.write(event)
    numbers, pictures = read(tmp_path)
    assert numbers == {
        "loss": [(1, 0.9), (2, 0.8)],
        "learning rate": [(1, 1e-3), (2, 1e-3)],
        "time/seconds a step": [(1, 0.5), (2, 0.5)],
        "time/share spent waiting": [(1, 0.2), (2, 0.2)],
        "validation/loss": [(2, 0.3)],
        "validation/dice": [(2, 0.65)],
        "validation/voi": [(2, 3.0)],
    }
    assert pictures == {}


def test_a_score_that_is_not_defined_is_left_out(tmp_path):
    score = Score(2, "voi", float("nan"), 0.3, {"crop 0": {"er": {"voi": float("nan")}}}, "", 1.0)
    with TensorBoard(tmp_path) as board:
        board.write(Started(0, 10, "CPU", 5))
        board.write(Validated(2, score, is_best=False))
    assert list(read(tmp_path)[0]) == ["validation/loss"]


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5)])
@pytest.mark.parametrize("least", [0.0, -0.5])
def test_pictures_show_the_middle_of_every_channel(tmp_path, shape, least):
    with TensorBoard(tmp_path) as board:
        board.write(Started(0, 10, "CPU", 5))
        board.write(snapshot(0, shape, least))
    _, pictures = read(tmp_path)
    names = [f"{kind}/{name}" for kind in ("target", "weight", "prediction")
             for name in ("z 1", "a_b")]  # fmt: skip
    assert sorted(pictures) == sorted(["raw", *names])
    seen = {name: pictures[name][0] for name in pictures}
    assert {image.shape for image in seen.values()} == {(4, 5)}
    grey = (0.25 - (-1 if least else 0)) / (2 if least else 1)
    row = -1  # in 2D the first row is the one that differs
    assert seen["target/z 1"][row, 0] == pytest.approx(255 * grey, abs=1)
    assert seen["prediction/a_b"][row, 0] == 255
    assert seen["weight/z 1"][row, 0] == pytest.approx(255 / 4, abs=1)
    assert seen["weight/a_b"][row, 0] == 255
    raw = seen["raw"]
    assert raw[len(raw) // 2, 0] == pytest.approx(255 * 0.4, abs=1)


def test_going_on_hides_what_came_after_the_checkpoint(tmp_path):
    with TensorBoard(tmp_path) as board:
        board.write(Started(0, 10, "CPU", 5))
        for iteration in range(1, 6):
            board.write(step(iteration, float(iteration)))
        for iteration in (0, 3, 5):
            board.write(snapshot(iteration))
    with TensorBoard(tmp_path) as board:
        board.write(Started(3, 10, "CPU", 5))
        board.write(snapshot(3))
        for iteration in (4, 5, 6):
            board.write(step(iteration, 10.0 * iteration))
        board.write(snapshot(6))
    numbers, pictures = read(tmp_path)
    assert numbers["loss"] == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 40.0), (5, 50.0), (6, 60.0)]
    assert list(pictures["raw"]) == [0, 3, 6]


def test_where_it_is_not_installed_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"pip install napari-dacapo-tasks\[tensorboard\]"):
        TensorBoard(tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / FOLDER).write_text("a file in its place")
    with TensorBoard(tmp_path) as board, pytest.raises(RunError, match="cannot be written"):
        board.write(Started(0, 10, "CPU", 5))
