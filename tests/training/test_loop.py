"""Training: what comes of it, and what is left whatever ends it."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_dacapo_tasks.arrays import Channel
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.errors import ConfigError, DeviceError, NonFiniteLossError, RunError
from napari_dacapo_tasks.runs.overrides import with_overrides
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks.losses.mse import MSELoss
from napari_dacapo_tasks.training.events import (
    CheckpointSaved,
    Finished,
    Notice,
    Request,
    Snapshot,
    Started,
    Stepped,
)
from napari_dacapo_tasks.training.loop import train


def all_of(run, kind=object):
    return [event for event in train(run) if isinstance(event, kind)]


def up_to(run, iteration):
    """Train up to an iteration, and stop there."""
    training = train(run)
    for event in training:
        if isinstance(event, Stepped) and event.iteration == iteration:
            break
    training.close()


def changed(run, **trainer):
    overrides = {f"trainer.{name}": str(value) for name, value in trainer.items()}
    run.save_config(with_overrides(run.config, overrides))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestEvents:
    def test_come_in_order(self, make_run):
        run = make_run(trainer={"iterations": 5, "snapshot_interval": 2, "checkpoint_interval": 3})
        events = all_of(run)
        kinds = [type(event) for event in events]
        assert kinds == [
            *(Started, Snapshot),
            *(Stepped, Stepped, Snapshot),
            *(Stepped, CheckpointSaved),
            *(Stepped, Snapshot),
            *(Stepped, Snapshot, CheckpointSaved, Finished),
        ]
        started, finished = events[0], events[-1]
        assert (started.iteration, started.iterations) == (0, 5)
        assert started.device.startswith("CPU")
        assert started.parameters > 1000
        assert finished == Finished(5)
        steps = [event for event in events if isinstance(event, Stepped)]
        assert [step.iteration for step in steps] == [1, 2, 3, 4, 5]
        assert all(step.loss > 0 and step.seconds > 0 for step in steps)
        saved = [event for event in events if isinstance(event, CheckpointSaved)]
        assert [event.path.name for event in saved] == ["000003.pt", "000005.pt"]
        assert names(run.path / "checkpoints") == ["000003.pt", "000005.pt"]

    def test_a_snapshot_shows_one_crop_all_along(self, make_run, small_net):
        run = make_run(trainer={"iterations": 4, "snapshot_interval": 2})
        first, second, third = all_of(run, Snapshot)
        assert (first.iteration, second.iteration, third.iteration) == (0, 2, 4)
        assert first.channels == ["balls"]
        assert first.raw.shape == tuple(small_net.input_shape)
        assert first.raw.axes == ("c", "z", "y", "x")
        for part in ("target", "weight", "prediction"):
            assert getattr(first, part).shape == (8, 8, 8)
            assert getattr(first, part).roi == third.target.roi
            assert first.raw.roi.contains(getattr(first, part).roi)
        np.testing.assert_array_equal(first.raw.data, third.raw.data)
        np.testing.assert_array_equal(first.target.data, third.target.data)
        assert not np.array_equal(first.prediction.data, third.prediction.data)

    def test_snapshots_are_kept_as_images(self, make_run):
        run = make_run(trainer={"iterations": 2, "snapshot_interval": 2})
        *_, last = all_of(run, Snapshot)
        assert names(run.path / "snapshots") == ["000000.ome.zarr", "000002.ome.zarr"]
        for part in ("raw", "target", "weight", "prediction"):
            image = ZarrArray.open(run.path / "snapshots/000002.ome.zarr" / part)
            assert image.roi == getattr(last, part).roi
            np.testing.assert_array_equal(image[image.roi], getattr(last, part).data)

    @pytest.mark.parametrize("at", [Started, Snapshot, Stepped, CheckpointSaved])
    def test_a_snapshot_comes_when_it_is_asked_for(self, make_run, at):
        run = make_run(trainer={"iterations": 4, "checkpoint_interval": 2})
        training = train(run)
        seen, asked, request = [], False, None
        while True:
            try:
                event = training.send(request)
            except StopIteration:
                break
            seen.append((type(event), getattr(event, "iteration", None)))
            request = None
            if type(event) is at and not asked:
                asked, request = True, Request.SNAPSHOT
                asked_after = len(seen)
        following = [kind for kind, _ in seen[asked_after : asked_after + 3]]
        assert Snapshot in following
        count = sum(kind is Snapshot for kind, _ in seen)
        assert count == (2 if at is Started else 3)

    def test_data_that_does_not_cover_the_same_region_is_told(self, make_run, volume):
        part = volume.array(volume.labels[:30], offset=(40, 0, 0))
        run = make_run(ground_truth=volume.ground_truth(part), trainer={"iterations": 1})
        (notice,) = all_of(run, Notice)
        assert "do not cover the same region" in notice.text
        assert "24 x 24 x 24 voxels" in notice.text
        assert all_of(make_run("other", trainer={"iterations": 1}), Notice) == []

    def test_a_finished_run_says_so_and_goes_on_with_more_iterations(self, make_run):
        run = make_run(trainer={"iterations": 2})
        all_of(run)
        kinds = [type(event) for event in all_of(run)]
        assert kinds == [Started, Notice, Finished]
        changed(run, iterations=4)
        steps = all_of(RunFolder.open(run.path), Stepped)
        assert [step.iteration for step in steps] == [3, 4]


class TestLearning:
    def test_the_loss_falls_clearly(self, make_run, small_net):
        net = small_net.model_copy(update={"input_shape": small_net.input_shape + 8})
        run = make_run(architecture=net, trainer={"iterations": 80, "learning_rate": 5e-3})
        events = all_of(run)
        losses = [event.loss for event in events if isinstance(event, Stepped)]
        assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
        *_, snapshot = (event for event in events if isinstance(event, Snapshot))
        alike = np.corrcoef(snapshot.prediction.data.ravel(), snapshot.target.data.ravel())[0, 1]
        assert alike > 0.8

    def test_batches_of_several_crops(self, make_run):
        steps = all_of(make_run(trainer={"iterations": 2, "batch_size": 3}), Stepped)
        assert len(steps) == 2

    def test_two_dimensions_and_several_channels(self, make_run, volume, small_net, small_task):
        net = type(small_net)(
            input_shape=(24, 24),
            fmaps_in=2,
            num_fmaps=4,
            fmap_inc_factor=2,
            downsample_factors=[(2, 2)],
        )
        raw = volume.array(np.stack([volume.raw[20], volume.raw[21]]), (8, 8), axes="cyx")
        truth = volume.ground_truth(
            volume.array(volume.labels[20], (8, 8), axes="yx"),
            channels=(Channel(name="a"), Channel(name="b", labels=(1, 2, 3))),
        )
        task = small_task.with_channels(["a", "b"])
        run = make_run(
            raw=raw, ground_truth=truth, architecture=net, task=task, trainer={"iterations": 2}
        )
        *_, snapshot = all_of(run, Snapshot)
        assert snapshot.prediction.data.shape == (2, 8, 8)
        assert snapshot.raw.data.shape == (2, 24, 24)


def weights(run):
    return run.load_checkpoint()["model"]


class TestResume:
    def test_equals_training_in_one_go_bit_for_bit(self, make_run):
        whole, parted = make_run("whole"), make_run("parted")
        all_of(whole)
        up_to(parted, 4)
        assert parted.latest_checkpoint().name == "000004.pt"
        all_of(RunFolder.open(parted.path))
        first, second = whole.load_checkpoint(), parted.load_checkpoint()
        assert first["iteration"] == second["iteration"] == 8
        assert first["class_counts"] == second["class_counts"]
        for name, tensor in first["model"].items():
            assert torch.equal(tensor, second["model"][name]), name
        losses = [[one.loss for one in run.statistics()] for run in (whole, parted)]
        assert losses[0] == losses[1]

    def test_statistics_have_neither_gap_nor_double(self, make_run):
        run = make_run(trainer={"iterations": 9, "checkpoint_interval": 4})
        training = train(run)
        for event in training:
            if isinstance(event, Stepped) and event.iteration == 6:
                break
        # A crash: nothing is saved after iteration 4, and iterations 5 and 6 are told of.
        training.gi_frame.f_locals["trainer"].saved = True
        training.close()
        assert [one.iteration for one in run.statistics()] == [1, 2, 3, 4, 5, 6]
        steps = all_of(run, Stepped)
        assert steps[0].iteration == 5
        assert [one.iteration for one in run.statistics()] == list(range(1, 10))

    def test_a_run_without_checkpoint_starts_anew(self, make_run):
        run = make_run(trainer={"iterations": 2})
        run.append_statistics(1, 0.5, 0.1)
        all_of(run)
        assert [one.iteration for one in run.statistics()] == [1, 2]

    def test_a_new_learning_rate_counts(self, make_run):
        slow, fast = make_run("slow"), make_run("fast")
        for run in (slow, fast):
            up_to(run, 4)
        changed(fast, learning_rate=0.01)
        for run in (slow, fast):
            all_of(run)
        (group,) = fast.load_checkpoint()["optimizer"]["param_groups"]
        assert group["lr"] == 0.01
        assert not all(torch.equal(t, weights(fast)[n]) for n, t in weights(slow).items())

    def test_the_seed_decides_the_weights(self, make_run):
        first, same, other = (
            make_run(name, trainer={"iterations": 1, "seed": seed})
            for name, seed in (("a", 3), ("b", 3), ("c", 4))
        )
        for run in (first, same, other):
            all_of(run)
        assert all(torch.equal(t, weights(same)[n]) for n, t in weights(first).items())
        assert not any(
            torch.equal(t, weights(other)[n]) for n, t in weights(first).items() if t.ndim > 1
        )

    def test_weights_of_another_network_are_refused_with_the_layers(self, make_run, small_net):
        run = make_run(trainer={"iterations": 1})
        all_of(run)
        net = small_net.model_copy(update={"num_fmaps": 5})
        run._config = run.config.model_copy(update={"architecture": net})
        with pytest.raises(ConfigError, match=r"weights of another network: 0\.unet"):
            all_of(run)

    def test_a_checkpoint_of_something_else_is_refused(self, make_run):
        run = make_run(trainer={"iterations": 1})
        all_of(run)
        state = {name: run.load_checkpoint()[name] for name in ("model", "optimizer")}
        run.save_checkpoint(state, 2)
        with pytest.raises(RunError, match="was not saved by training"):
            all_of(run)


class TestStopping:
    def test_saves_a_checkpoint(self, make_run):
        run = make_run()
        up_to(run, 3)
        assert names(run.path / "checkpoints") == ["000003.pt"]
        assert run.load_checkpoint()["iteration"] == 3
        assert "Stopped at iteration 3" in (run.path / "log.txt").read_text()

    def test_before_the_first_step_saves_nothing(self, make_run):
        run = make_run()
        training = train(run)
        assert isinstance(next(training), Started)
        training.close()
        assert run.latest_checkpoint() is None

    def test_again_at_once_saves_nothing_twice(self, make_run):
        run = make_run()
        up_to(run, 3)
        before = run.latest_checkpoint().stat().st_mtime_ns
        training = train(run)
        next(training)
        training.close()
        assert run.latest_checkpoint().stat().st_mtime_ns == before

    def test_a_second_training_of_the_run_is_refused(self, make_run):
        run = make_run()
        training = train(run)
        next(training)
        with pytest.raises(RunError, match="is being trained already"):
            next(train(RunFolder.open(run.path)))
        training.close()

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
    def test_a_kill_leaves_a_run_that_goes_on(self, make_run):
        run = make_run(
            trainer={"iterations": 100_000, "checkpoint_interval": 3, "snapshot_interval": 4}
        )
        command = [sys.executable, "-m", "napari_dacapo_tasks", "train", str(run.path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            deadline = time.monotonic() + 120
            while len(run.statistics()) < 20 and process.poll() is None:
                assert time.monotonic() < deadline, "training did not start"
                time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGKILL)
            _, said = process.communicate()
        assert process.returncode == -signal.SIGKILL, said
        at = run.load_checkpoint()["iteration"]
        assert at >= 15
        changed(run, iterations=at + 3)
        steps = all_of(RunFolder.open(run.path), Stepped)
        assert [step.iteration for step in steps] == [at + 1, at + 2, at + 3]
        assert [one.iteration for one in run.statistics()] == list(range(1, at + 4))


class TestFailures:
    def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(
        self, make_run, monkeypatch
    ):
        run = make_run(trainer={"checkpoint_interval": 2, "learning_rate": 0.001})
        compute, calls = MSELoss.compute, []

        def bad(self, *args):
            calls.append(1)
            return compute(self, *args) * (float("nan") if len(calls) == 4 else 1)

        monkeypatch.setattr(MSELoss, "compute", bad)
        with pytest.raises(
            NonFiniteLossError,
            match=r"loss became nan at iteration 4: lower the learning rate \(now 0\.001\); it "
            r"goes on from the last checkpoint, of iteration 2\.$",
        ):
            all_of(run)
        assert run.load_checkpoint()["iteration"] == 2
        assert all(tensor.isfinite().all() for tensor in weights(run).values())
        assert "loss became nan" in (run.path / "log.txt").read_text()
        monkeypatch.undo()
        assert [step.iteration for step in all_of(run, Stepped)] == [3, 4, 5, 6, 7, 8]
        assert [one.iteration for one in run.statistics()] == list(range(1, 9))

    def test_the_first_loss_already(self, make_run, monkeypatch):
        monkeypatch.setattr(MSELoss, "compute", lambda self, p, t, w: p.sum() / 0)
        with pytest.raises(NonFiniteLossError, match="nothing was saved yet, so it starts anew"):
            all_of(make_run())

    def test_weights_that_are_not_finite_are_never_saved(self, make_run, monkeypatch):
        run = make_run(trainer={"checkpoint_interval": 2})
        up_to(run, 2)
        before = run.latest_checkpoint()
        training = train(run)
        for event in training:
            if isinstance(event, Stepped):
                break
        model = training.gi_frame.f_locals["trainer"].model
        next(model.parameters()).data.fill_(float("inf"))
        with pytest.raises(NonFiniteLossError, match="weights became infinite at iteration 3"):
            training.close()
        assert run.latest_checkpoint() == before

    @pytest.mark.parametrize(
        "error",
        [
            torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"),
            RuntimeError("MPS backend out of memory"),
            MemoryError(),
        ],
    )
    def test_out_of_memory_says_what_to_lower_and_frees_it(self, make_run, monkeypatch, error):
        run = make_run(trainer={"checkpoint_interval": 2, "batch_size": 2})
        seen = []

        def bad(self, prediction, target, weight):
            seen.append(weakref.ref(prediction))
            if len(seen) == 4:
                raise error
            return ((prediction - target) ** 2 * weight).mean()

        monkeypatch.setattr(MSELoss, "compute", bad)
        training = train(run)
        next(training)
        model = weakref.ref(training.gi_frame.f_locals["trainer"].model)
        with pytest.raises(
            DeviceError,
            match=r"memory of cpu does not suffice .* batch size \(now 2\), the input shape "
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

    def test_a_full_disk_stops_with_the_last_checkpoint_whole(self, make_run, monkeypatch):
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

    def test_a_device_that_is_not_there(self, make_run, monkeypatch):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        run = make_run(trainer={"device": "cuda:0"})
        with pytest.raises(DeviceError, match="no device cuda:0"):
            all_of(run)


class TestTidiness:
    def test_memory_is_given_back_at_the_end(self, make_run):
        run = make_run(trainer={"iterations": 2})
        for ending in ("finish", "stop"):
            changed(run, iterations=4 if ending == "finish" else 8)
            gc.collect()
            gc.disable()  # memory has to come back at once, not some time later
            try:
                training = train(run)
                next(training)
                trainer = training.gi_frame.f_locals["trainer"]
                kept = [weakref.ref(p) for p in trainer.model.parameters()]
                for event in training:
                    if ending == "stop" and isinstance(event, Stepped):
                        training.close()
                assert [one for one in kept if one() is not None] == []
            finally:
                gc.enable()

    def test_no_global_default_is_changed(self, make_run):
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002
        states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
        all_of(make_run(trainer={"iterations": 2, "seed": 9}))
        assert torch.equal(torch.get_rng_state(), states[0])
        assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
        assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, dtype)
        assert torch.is_grad_enabled()
        assert not torch.are_deterministic_algorithms_enabled()

    def test_the_log_tells_the_story(self, make_run):
        run = make_run(trainer={"iterations": 2})
        up_to(run, 1)
        all_of(run)
        lines = [line.split(" ", 1)[1] for line in (run.path / "log.txt").read_text().splitlines()]
        assert lines[0].startswith("Training from iteration 0 on CPU")
        assert lines[1] == "Stopped at iteration 1"
        assert lines[2].startswith("Training from iteration 1 on CPU")
        assert lines[3] == "Finished at iteration 2"
