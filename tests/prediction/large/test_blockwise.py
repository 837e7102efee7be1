"""Blocks by several workers: nothing twice, nothing missing, whatever is killed and whenever."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import psutil
import pytest
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays.growing_image import DataTakenError, GrowingImage, is_growing
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.events import Filled, Notice, Opened
from napari_dacapo_tasks.prediction.large.blockwise import (
    BlocksMissingError,
    BlockwiseJob,
    predict_blockwise,
)
from napari_dacapo_tasks.prediction.predict import predict
from napari_dacapo_tasks.prediction.stored import is_prediction, open_prediction
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of
from napari_dacapo_tasks.units import NANOMETRE

BLOCK = (10, 40, 40)
BLOCKS = 4

PATIENCE = 300.0
"""Seconds for something that takes a few, on a machine that has much else to do."""

CHUNK = "raw.zarr/0/3/0/0"
"""Raw data that the last blocks need, and the first ones do not."""

posix = pytest.mark.skipif(os.name != "posix", reason="kills, and reads that never end, of POSIX")


@pytest.fixture
def job(tmp_path: Path, volume: Any, make_run: Callable[..., Any]) -> BlockwiseJob:
    """A network with random weights, raw data in four chunks, and where to."""
    import torch

    run = make_run()
    torch.manual_seed(0)
    task = run.config.task.task_type(run.config.task)
    model = task.predictor.create_model(run.config.architecture)
    run.save_checkpoint({"model": model.chain.state_dict()}, 3)
    raw = GrowingImage.create(
        tmp_path / "raw.zarr",
        roi=Roi((0,) * 3, (8 * 40,) * 3),
        voxel_size=Coordinate(8, 8, 8),
        unit=NANOMETRE,
        axes=("z", "y", "x"),
        num_channels=None,
        dtype=np.uint8,
        name="raw",
        block_shape=BLOCK,
    )
    raw.write(raw.roi, volume.raw)
    list(raw.finish())
    return BlockwiseJob(
        trained=run.path,
        raw=str(tmp_path / "raw.zarr"),
        out=tmp_path / "out.zarr",
        config=PredictionConfig(device="cpu"),
        block_shape=BLOCK,
    )


@pytest.fixture
def expected(job: BlockwiseJob) -> np.ndarray:
    """What one process predicts in its memory."""
    array = result_of(predict(job.plan(), job.config)).array
    return array[array.roi]


@pytest.fixture
def hanging(job: BlockwiseJob) -> Iterator[Callable[[Any], None]]:
    """Raw data that is never there, so that somebody is in the middle of a block for ever."""
    chunk = Path(job.raw).parent / CHUNK
    kept = chunk.read_bytes()
    chunk.unlink()
    os.mkfifo(chunk)
    writers: list[int] = []

    def until_read(steps: Any) -> None:
        """Go on until a worker reads it."""
        begin = monotonic()
        while not writers:
            assert monotonic() - begin < PATIENCE, "no worker read the raw data"
            next(steps)
            try:
                writers.append(os.open(chunk, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # nobody reads it yet
                continue

    def repair() -> None:
        chunk.unlink()
        chunk.write_bytes(kept)

    until_read.repair = repair  # type: ignore[attr-defined]
    yield until_read
    for writer in writers:
        os.close(writer)


def patient(steps: Any) -> Iterator[Any]:
    """Go on with something, but not for ever."""
    begin = monotonic()
    for step in steps:
        assert monotonic() - begin < PATIENCE, "it does not end"
        yield step


def ours(process: psutil.Process) -> list[psutil.Process]:
    """The scheduler, the workers, and those that wait for workers."""
    found = []
    for child in process.children(recursive=True):
        try:
            text = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if "napari_dacapo_tasks" in text or "daisy" in text:
            found.append(child)
    return found


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    return [one for one in ours(process) if "--number" in one.cmdline()]


def files_in(folder: Path) -> dict[Path, int]:
    """When each chunk was written."""
    found = folder.glob("0/*/*/*/*")
    return {path: path.stat().st_mtime_ns for path in found if path.suffix != ".partial"}


@posix
def test_a_worker_is_killed_in_the_middle_of_a_block(
    job: BlockwiseJob, expected: np.ndarray, hanging: Any
) -> None:
    steps = predict_blockwise(job)
    events = [next(steps)]
    assert isinstance(events[0], Opened)
    assert events[0].device == "1 worker of this machine"

    def kept() -> Iterator[None]:
        for event in patient(steps):
            events.append(event)
            yield

    following = kept()
    hanging(following)
    (worker,) = workers_of(psutil.Process())
    worker.kill()
    hanging.repair()
    for _ in following:
        pass
    there = open_prediction(job.out)
    np.testing.assert_allclose(there.array[there.array.roi], expected, atol=1e-6)
    assert there.run == job.trained
    filled = [event for event in events if isinstance(event, Filled) and event.roi.size]
    assert len(filled) == BLOCKS
    assert filled[-1].share == 1.0
    assert not is_growing(job.out)
    assert not ours(psutil.Process())
    # All is done, so that there is nothing to do.
    again = list(predict_blockwise(job, exists="resume"))
    assert not [event for event in again if isinstance(event, Filled) and event.roi.size]


FOLLOW = """
import json, sys
from napari_dacapo_tasks.prediction.large.blockwise import BlockwiseJob, predict_blockwise
for event in predict_blockwise(BlockwiseJob.from_dict(json.loads(sys.argv[1]))):
    print(event, flush=True)
"""

STAND_IN = """
import subprocess, sys
# As a queue does it: the command is back at once, and its work goes on elsewhere.
subprocess.Popen(sys.argv[1], shell=True, start_new_session=True)
print("Submitted batch job 1")
"""


@posix
def test_everything_is_killed_and_workers_elsewhere_go_on(
    job: BlockwiseJob, expected: np.ndarray, hanging: Any, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", FOLLOW, json.dumps(job.as_dict())]
    first = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert first.stdout is not None
    hanging(iter(first.stdout.readline, b""))
    family = ours(psutil.Process(first.pid))
    assert family
    done = GrowingImage.open(job.out).done
    assert len(done) < BLOCKS
    before = files_in(job.out)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    first.stdout.close()
    assert not psutil.wait_procs(family, PATIENCE)[1], "workers outlive who started them"
    hanging.repair()
    assert open_array(job.out).num_channels == 1  # it can be looked at meanwhile

    with pytest.raises(DataTakenError, match="resume it") as taken:
        next(predict_blockwise(job))
    assert taken.value.can_resume
    stand_in = tmp_path / "sbatch.py"
    stand_in.write_text(STAND_IN)
    values = job.as_dict()
    values["command"] = f"{sys.executable} {stand_in} '{{command}}'"
    values["workers"] = 2
    elsewhere = BlockwiseJob.from_dict(values)
    steps = predict_blockwise(elsewhere, exists="resume")
    opened = next(steps)
    assert isinstance(opened, Opened)
    assert "sbatch.py" in opened.device
    filled = [e for e in patient(steps) if isinstance(e, Filled) and e.roi.size]
    assert len(filled) == BLOCKS - len(done)
    there = open_array(job.out)
    np.testing.assert_allclose(there[there.roi], expected, atol=1e-6)
    after = files_in(job.out)
    assert {path: after[path] for path in before} == before, "what was done is done again"


@posix
def test_failing_blocks_are_tried_again_and_told_and_stopping_ends_workers(
    job: BlockwiseJob, expected: np.ndarray
) -> None:
    chunk = Path(job.raw).parent / CHUNK
    kept = chunk.read_bytes()
    chunk.write_bytes(b"no chunk of any codec")
    events: list[Any] = []
    with pytest.raises(BlocksMissingError, match=r"of 4 blocks are missing.*resume") as caught:
        events.extend(patient(predict_blockwise(job)))
    image = GrowingImage.open(job.out)
    failed = image.missing
    assert caught.value.missing == len(failed) > 0
    assert (3, 0, 0) in failed
    assert (0, 0, 0) in image.done
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert len([text for text in notices if "A try at the block" in text]) == 3 * len(failed)
    logs = "".join(path.read_text() for path in (image.state / "logs").glob("worker-*.txt"))
    assert "block (3, 0, 0) failed" in logs
    assert "Traceback" in logs
    first = image.block((0, 0, 0))
    np.testing.assert_allclose(image.array[first], expected[:, :10], atol=1e-6)

    chunk.unlink()
    os.mkfifo(chunk)  # now it hangs
    steps = predict_blockwise(job, exists="resume")
    writer = None
    for _ in patient(steps):
        try:
            writer = os.open(chunk, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError:
            continue
    assert writer is not None
    family = ours(psutil.Process())
    assert workers_of(psutil.Process())
    for exists in ("resume", "overwrite"):
        with pytest.raises(DataError, match="is being predicted already"):
            list(predict_blockwise(job, exists=exists))
    steps.close()
    os.close(writer)
    assert not psutil.wait_procs(family, PATIENCE)[1]
    assert GrowingImage.open(job.out).missing == failed
    assert is_prediction(job.out)
    chunk.unlink()
    chunk.write_bytes(kept)


def test_a_worker_that_cannot_work_says_why(job: BlockwiseJob) -> None:
    values = job.as_dict()
    values["config"]["device"] = "cuda:99"
    with pytest.raises(DataError, match="no device cuda:99"):
        list(patient(predict_blockwise(BlockwiseJob.from_dict(values))))
    assert is_growing(job.out)


def test_nobody_is_at_work(job: BlockwiseJob, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_dacapo_tasks.prediction.large import block_worker
    from napari_dacapo_tasks.prediction.large.block_worker import work
    from napari_dacapo_tasks.prediction.large.standing import Session

    with pytest.raises(DataError, match="no prediction that workers are to make"):
        work(job.out)
    steps = predict_blockwise(job)
    next(steps)
    BlockwiseJob.save(job)  # the image is there, and nobody works on it yet
    with pytest.raises(DataError, match="Nobody predicts"):
        work(job.out)
    Session.begin(GrowingImage.open(job.out).state)
    monkeypatch.setattr(block_worker, "LATE_SECONDS", 0)
    assert work(job.out, session="of yesterday", server=("nowhere", 1), number=0) == 0
    with pytest.raises(DataError, match="only just begun"):
        work(job.out)
    steps.close()


class TestJob:
    def test_it_is_the_same_after_a_file(self, job: BlockwiseJob) -> None:
        values = {**job.as_dict(), "roi": [[8, 16, 24], [80, 80, 80]], "checkpoint": 3}
        values["command"] = "srun {command}"
        changed = BlockwiseJob.from_dict(json.loads(json.dumps(values)))
        assert changed.roi == Roi((8, 16, 24), (80, 80, 80))
        assert BlockwiseJob.from_dict(changed.as_dict()) == changed

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"workers": 0}, "cannot be 0 workers"),
            ({"command": "ssh host"}, r"write \{command\} in it"),
            ({"command": "ssh 'host {command}"}, "check its quotes"),
        ],
    )
    def test_what_cannot_be(
        self, job: BlockwiseJob, changes: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(ConfigError, match=sentence):
            BlockwiseJob.from_dict({**job.as_dict(), **changes})

    def test_the_image_itself_is_never_overwritten(self, job: BlockwiseJob) -> None:
        for raw in (job.out, job.out / "labels/one"):
            with pytest.raises(ConfigError, match="holds the image itself"):
                BlockwiseJob.from_dict({**job.as_dict(), "raw": str(raw)})

    def test_the_old_file_stays_where_a_new_one_cannot_be_written(
        self, job: BlockwiseJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun = predict_blockwise(job)
        next(begun)
        begun.close()
        replace(job, iteration=3).save()

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", full)
            with pytest.raises(DataError, match="no space left"):
                replace(job, iteration=4).save()
        assert BlockwiseJob.load(job.out).iteration == 3

    def test_the_checkpoint_stays_when_another_becomes_the_best(self, job: BlockwiseJob) -> None:
        from napari_dacapo_tasks.runs.run_folder import RunFolder

        steps: Generator[Any, None, Any] = predict_blockwise(job)
        while not isinstance(event := next(steps), Filled):
            assert not isinstance(event, Notice)
        steps.close()
        run = RunFolder.open(job.trained)
        run.save_checkpoint(run.load_checkpoint(), 4)
        again = predict_blockwise(job, exists="resume")
        next(again)  # it is the same image as before
        again.close()
        assert BlockwiseJob.load(job.out).iteration == 3


class TestTemplates:
    PROGRAM = ("py", "-m", "napari_dacapo_tasks")
    ARGUMENTS = ("worker", "/data/my volume.zarr")

    def filled(self, template: str) -> list[str]:
        from napari_dacapo_tasks.prediction.large.workers import filled

        return filled(template, self.PROGRAM, self.ARGUMENTS)

    def test_words_follow_one_by_one(self) -> None:
        assert self.filled("srun -n 1 {command}") == [
            *("srun", "-n", "1"),
            *self.PROGRAM,
            *self.ARGUMENTS,
        ]

    @pytest.mark.parametrize("quote", ["'", '"'])
    def test_in_quotes_it_is_one_text_for_a_shell(self, quote: str) -> None:
        words = self.filled(f"sbatch --wrap {quote}{{command}}{quote}")
        assert words[:2] == ["sbatch", "--wrap"]
        assert shlex.split(words[2]) == [*self.PROGRAM, *self.ARGUMENTS]

    def test_within_a_text(self) -> None:
        (_, _, text) = self.filled("ssh host 'conda activate n && napari-dacapo-tasks {arguments}'")
        assert text == "conda activate n && napari-dacapo-tasks worker '/data/my volume.zarr'"


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    from napari_dacapo_tasks.prediction.large.standing import Session
    from napari_dacapo_tasks.prediction.large.workers import StartWorker

    session = Session.begin(tmp_path)
    start = StartWorker(
        folder="out.zarr",
        state=str(tmp_path),
        session=session.name,
        template=f"{sys.executable} -c \"raise SystemExit('host unknown')\" {{command}}",
        threads=1,
        parent=os.getpid(),
    )
    with pytest.raises(RuntimeError, match="worker 7 ended with code 1: host unknown"):
        start(context={"worker_id": "7", "hostname": "here", "port": "1"})
    assert session.server() == ("here", 1)


def test_workers_of_one_machine_share_its_memory(job: BlockwiseJob) -> None:
    import torch

    from napari_dacapo_tasks.prediction.tile_size import largest_tiles

    outline = job.plan().trained.outline
    alone = largest_tiles(outline, (999,) * 3, "cpu", torch.float32, 3)
    shared = largest_tiles(outline, (999,) * 3, "cpu", torch.float32, 3, sharing=8)
    ratio = np.prod(alone.largest) / np.prod(shared.largest)
    assert 5 < ratio < 13


class TestStanding:
    def test_it_is_over_when_the_file_goes_or_another_takes_its_place(self, tmp_path: Path) -> None:
        from napari_dacapo_tasks.prediction.large.standing import SESSION, Session, Standing

        session = Session.begin(tmp_path)
        standing = Standing(tmp_path / SESSION, session.name)
        assert not standing.over()
        other = Session.begin(tmp_path)
        assert standing.over()
        session.end()  # not theirs to end
        assert Session.at(tmp_path) == other
        other.end()
        assert Session.at(tmp_path) is None
        assert Standing(tmp_path / SESSION).over()

    def test_it_is_over_when_nothing_is_heard_for_long(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from napari_dacapo_tasks.prediction.large import standing as module

        now = 0.0
        monkeypatch.setattr(module, "monotonic", lambda: now)
        session = module.Session.begin(tmp_path)
        standing = module.Standing(tmp_path / module.SESSION, session.name)
        assert not standing.over()
        now = module.SILENT_SECONDS - 1
        assert not standing.over()
        session.beat(1)
        assert not standing.over()
        now += module.SILENT_SECONDS - 1
        assert not standing.over()
        now += 2
        assert standing.over()


@pytest.mark.parametrize(("padding", "tile_shape"), [("valid", None), ("same", (24, 24, 24))])
def test_all_workers_take_the_same_tiles_where_tiles_blend(
    job: BlockwiseJob, make_run: Callable[..., Any], padding: str, tile_shape: Any
) -> None:
    run = RunFolder.open(job.trained)
    net = run.config.architecture.model_copy(update={"padding": padding})
    other = make_run("other", architecture=net)
    task = other.config.task.task_type(other.config.task)
    model = task.predictor.create_model(net)
    other.save_checkpoint({"model": model.chain.state_dict()}, 1)
    with closing(predict_blockwise(replace(job, trained=other.path))) as events:
        next(event for event in events if isinstance(event, Filled))
        assert BlockwiseJob.load(job.out).config.tile_shape == tile_shape
