"""What goes wrong in training, and what is left then."""

from __future__ import annotations

import datetime
import errno
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest
import torch
from driving import all_of, names, up_to

from napari_dacapo_tasks.architectures import Model
from napari_dacapo_tasks.errors import DeviceError, NonFiniteLossError, RunError
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks.losses.mse import MSELoss
from napari_dacapo_tasks.training.events import Finished, Notice, Stepped
from napari_dacapo_tasks.training.loop import train


def weights(run):
    return run.load_checkpoint()["model"]


def same(first, second):
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.fixture
def spoil(monkeypatch):
    """Let the loss be NaN in those of its calls that are named."""

    def spoil(*wrong):
        compute, calls = MSELoss.compute, []

        def spoiled(self, *args):
            calls.append(1)
            return compute(self, *args) * (float("nan") if len(calls) in wrong else 1)

        monkeypatch.setattr(MSELoss, "compute", spoiled)

    return spoil


class TestNotFinite:
    def test_it_goes_back_once_with_half_the_rate(self, make_run, spoil):
        run = make_run(trainer={"checkpoint_interval": 2, "learning_rate": 0.001})
        spoil(4)
        events = all_of(run)
        (notice,) = (event for event in events if isinstance(event, Notice))
        assert "NaN or infinite" in notice.text
        assert "back to iteration 2, and on with 0.5 of the learning rate (0.0005)" in notice.text
        steps = [event.iteration for event in events if isinstance(event, Stepped)]
        assert steps == [1, 2, 3, 3, 4, 5, 6, 7, 8]
        assert isinstance(events[-1], Finished)
        kept = run.statistics()
        assert [one.iteration for one in kept] == list(range(1, 9))
        assert [one.learning_rate for one in kept] == [0.001] * 2 + [0.0005] * 6
        assert "NaN or infinite" in (run.path / "log.txt").read_text()

    def test_the_second_time_it_stops_with_the_last_checkpoint(self, make_run, spoil):
        run = make_run(trainer={"checkpoint_interval": 2, "learning_rate": 0.001})
        spoil(4, 7)  # iteration 4, and 5 after going back to 2
        with pytest.raises(
            NonFiniteLossError,
            match=r"loss became nan at iteration 5: lower the learning rate \(now 0\.0005\); it "
            r"goes on from the last checkpoint, of iteration 4\.$",
        ):
            all_of(run)
        assert run.load_checkpoint()["iteration"] == 4
        assert all(tensor.isfinite().all() for tensor in weights(run).values())
        assert "loss became nan" in (run.path / "log.txt").read_text()

    def test_the_lower_rate_lasts_until_another_is_chosen(self, make_run, spoil, monkeypatch):
        run = make_run(trainer={"checkpoint_interval": 2, "learning_rate": 0.001})
        spoil(2)
        up_to(run, 4)
        monkeypatch.undo()
        up_to(run, 6)
        assert {one.learning_rate for one in run.statistics()} == {0.0005}
        trainer = run.config.trainer.model_copy(update={"learning_rate": 0.0008})
        run.save_config(run.config.model_copy(update={"trainer": trainer}))
        all_of(run)
        assert [one.learning_rate for one in run.statistics()] == [0.0005] * 6 + [0.0008] * 2

    def test_it_cannot_go_back_to_a_checkpoint_that_is_damaged_meanwhile(
        self, make_run, monkeypatch
    ):
        run = make_run(trainer={"checkpoint_interval": 2})

        def spoiled(self, prediction, *rest):
            if run.latest_checkpoint() is None:
                return prediction.mean()
            run.latest_checkpoint().write_bytes(b"")
            return prediction.mean() * float("nan")

        monkeypatch.setattr(MSELoss, "compute", spoiled)
        with pytest.raises(RunError, match=r"delete 000002\.pt to start anew"):
            all_of(run)
        assert "no whole checkpoint" in (run.path / "log.txt").read_text()
        assert not [one for one in threading.enumerate() if one.name.startswith("loader")]

    def test_numbers_of_half_precision_may_be_the_reason(self, make_run, monkeypatch):
        monkeypatch.setattr(MSELoss, "compute", lambda self, p, t, w, counts: p.sum() / 0)
        run = make_run(trainer={"execution": {"precision": "float16"}})
        with pytest.raises(NonFiniteLossError, match="or choose another precision than float16; "):
            all_of(run)

    def test_what_was_told_before_is_not_told_again(self, make_run, spoil):
        run = make_run(trainer={"execution": {"deterministic": True}})
        spoil(3)
        first, second = all_of(run, Notice)
        assert "Deterministic changes nothing" in first.text
        assert "NaN or infinite" in second.text

    def test_from_the_beginning(self, make_run, spoil):
        once, never = make_run("once"), make_run("never", trainer={"learning_rate": 0.5e-4})
        all_of(never)
        spoil(3)
        all_of(once)
        assert same(weights(once), weights(never))

    def test_the_first_loss_already(self, make_run, monkeypatch):
        monkeypatch.setattr(MSELoss, "compute", lambda self, p, t, w, counts: p.sum() / 0)
        with pytest.raises(NonFiniteLossError, match="nothing was saved yet, so it starts anew"):
            all_of(make_run())

    def test_weights_that_are_not_finite_are_never_saved(self, make_run):
        run = make_run(trainer={"checkpoint_interval": 2})
        up_to(run, 2)
        before = run.latest_checkpoint()
        training = train(run)
        for event in training:
            if isinstance(event, Stepped):
                break
        model = training.gi_frame.f_locals["trainer"].learner.model
        next(model.parameters()).data.fill_(float("inf"))
        with pytest.raises(NonFiniteLossError, match="weights became infinite at iteration 3"):
            training.close()
        assert run.latest_checkpoint() == before


MEMORY_ERRORS = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"),
    RuntimeError("MPS backend out of memory"),
    MemoryError(),
]


class TestOutOfMemory:
    @pytest.fixture
    def most(self, monkeypatch):
        """Let the memory suffice for so many crops at a time."""

        def most(crops):
            forward, seen = Model.forward, []

            def limited(self, raw):
                if self.training:
                    seen.append(len(raw))
                    if len(raw) > crops:
                        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
                return forward(self, raw)

            monkeypatch.setattr(Model, "forward", limited)
            return seen

        return most

    @pytest.mark.parametrize(("crops", "micro_batches"), [(2, [2, 2, 1]), (1, [1] * 5)])
    def test_fewer_crops_at_once_come_to_the_same(self, make_run, most, crops, micro_batches):
        trainer = {"iterations": 3, "batch_size": 5}
        plenty, little = make_run("plenty", trainer=trainer), make_run("little", trainer=trainer)
        all_of(plenty)
        seen = most(crops)
        notices = all_of(little, Notice)
        assert seen[-len(micro_batches) :] == micro_batches
        sizes = {2: [2], 1: [2, 1]}[crops]
        assert len(notices) == len(sizes), "said once for each halving"
        for notice, size in zip(notices, sizes, strict=True):
            assert f"from now on {size} at a time go through the network" in notice.text
        for name, tensor in weights(plenty).items():
            torch.testing.assert_close(weights(little)[name], tensor, rtol=1e-4, atol=1e-6)
        for one, other in zip(plenty.statistics(), little.statistics(), strict=True):
            assert one.loss == pytest.approx(other.loss, rel=1e-5)

    def test_not_even_one_crop(self, make_run, most):
        most(0)
        with pytest.raises(DeviceError, match=r"memory of cpu does not suffice .*starts anew\.$"):
            all_of(make_run(trainer={"batch_size": 4}))

    @pytest.mark.parametrize("error", MEMORY_ERRORS)
    def test_says_what_to_lower_and_frees_it(self, make_run, monkeypatch, error):
        run = make_run(trainer={"checkpoint_interval": 2})
        seen = []

        def bad(self, prediction, target, weight, counts):
            seen.append(weakref.ref(prediction))
            if len(seen) == 4:
                raise error
            return ((prediction - target) ** 2 * weight).mean()

        monkeypatch.setattr(MSELoss, "compute", bad)
        training = train(run)
        next(training)
        model = weakref.ref(training.gi_frame.f_locals["trainer"].learner.model)
        with pytest.raises(
            DeviceError,
            match=r"memory of cpu does not suffice .* batch size \(now 1\), the input shape "
            r"\(now 24 x 24 x 24\) or the number of feature maps \(now 4\); it goes on from the "
            r"last checkpoint, of iteration 2\.$",
        ) as caught:
            list(training)
        # The error may be shown for long: it must not hold what was too large.
        assert caught.value.__cause__ is error
        assert model() is None
        assert all(tensor() is None for tensor in seen)
        assert run.load_checkpoint()["iteration"] == 2

    def test_other_errors_are_left_as_they_are(self, make_run, monkeypatch):
        def bad(self, *args):
            raise RuntimeError("a mistake of ours")

        run = make_run()
        monkeypatch.setattr(MSELoss, "compute", bad)
        with pytest.raises(RuntimeError, match="a mistake of ours"):
            all_of(run)
        assert "Traceback" in (run.path / "log.txt").read_text()

    def test_a_device_that_lacks_an_operation_is_a_sentence(self, make_run, monkeypatch):
        """As MPS does, in versions of PyTorch or macOS that do not know all of 3D."""
        from napari_dacapo_tasks.architectures.devices import Device
        from napari_dacapo_tasks.training import loop

        def missing(*_):
            raise NotImplementedError("The operator aten::pool3d is not implemented. Fall back.")

        monkeypatch.setattr(loop, "Trainer", missing)
        with pytest.raises(NotImplementedError):
            all_of(make_run())
        monkeypatch.setattr(loop, "resolve_device", lambda name: Device("mps", "Apple GPU", 0))
        monkeypatch.setattr(loop, "free_memory", lambda *_: None)
        with pytest.raises(
            DeviceError,
            match=r"mps cannot train this network \(The operator aten::pool3d is not "
            r"implemented\): set trainer\.device to cpu\.$",
        ):
            all_of(make_run("apple"))

    def test_a_need_beyond_what_is_free_is_told_before(self, make_run, monkeypatch):
        from napari_dacapo_tasks.training import trainer

        monkeypatch.setattr(trainer, "memory_estimate", lambda *args: 10**18)
        (notice,) = all_of(make_run(trainer={"iterations": 1}), Notice)
        assert "needs about 1000000000.0 GB of memory, and " in notice.text


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own, of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


class TestDisk:
    @pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
    def test_a_small_one_fills_up_and_nothing_is_lost(self, make_run, small_disk):
        trainer = {"iterations": 30, "checkpoint_interval": 1, "checkpoints_kept": 100}
        whole = make_run("whole", trainer=trainer)
        run = RunFolder.open(shutil.copytree(whole.path, small_disk / "run"))
        all_of(whole)
        with pytest.raises(RunError, match=r"cannot be written: No space left on device; see to"):
            all_of(run)
        checkpoints = run.checkpoints()
        assert 1 < len(checkpoints) < 30
        for path in checkpoints:
            assert run.load_checkpoint(path)["iteration"] == int(path.stem)
        assert names(run.path / "checkpoints") == [path.name for path in checkpoints]
        shutil.move(run.path, small_disk.with_name("elsewhere"))
        run = RunFolder.open(small_disk.with_name("elsewhere"))
        all_of(run)
        assert same(weights(whole), weights(run))
        assert [s.loss for s in whole.statistics()] == [s.loss for s in run.statistics()]

    def test_that_is_full_stops_with_the_last_checkpoint_whole(self, make_run, monkeypatch):
        run = make_run(trainer={"checkpoint_interval": 2})
        replace = os.replace

        def full(source, target):
            if Path(target).name == "000004.pt":
                raise OSError(errno.ENOSPC, "No space left on device")
            replace(source, target)

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(RunError, match=r"000004\.pt cannot be written: No space left"):
            all_of(run)
        assert run.load_checkpoint()["iteration"] == 2
        assert names(run.path / "checkpoints") == ["000002.pt"]

    def test_a_run_that_is_deleted_ends_with_a_sentence(self, make_run):
        run = make_run()
        training = train(run)
        assert 3 in (event.iteration for event in training if isinstance(event, Stepped))
        shutil.rmtree(run.path)
        with pytest.raises(RunError, match=r"The run .* is gone: it was deleted") as caught:
            list(training)
        assert "\n" not in str(caught.value)
        assert not run.path.exists(), "nothing makes it anew"


class TestClock:
    def test_one_that_jumps_harms_nothing(self, make_run, monkeypatch):
        steady, jumping = make_run("steady"), make_run("jumping")
        all_of(steady)
        hours = iter(range(10_000))

        class Jumping(datetime.datetime):
            @classmethod
            def now(cls, tz=None):
                at = 1.7e9 + (-1) ** next(hours) * 3600 * next(hours)
                return cls.fromtimestamp(at, tz)

        monkeypatch.setattr(datetime, "datetime", Jumping)
        for module in list(sys.modules.values()):
            known = getattr(module, "__name__", "").startswith("napari_dacapo_tasks")
            if known and "datetime" in vars(module):
                monkeypatch.setattr(module, "datetime", Jumping)
        monkeypatch.setattr(time, "time", lambda: 1.7e9 - 3600 * next(hours))
        all_of(jumping)
        assert same(weights(steady), weights(jumping))
        assert all(0 < one.seconds < 600 for one in jumping.statistics())


def test_a_device_that_is_not_there(make_run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    run = make_run(trainer={"device": "cuda:0"})
    with pytest.raises(DeviceError, match="no device cuda:0"):
        all_of(run)
