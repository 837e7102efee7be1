"""Training: what comes of it, and what is left whatever ends it."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from driving import all_of, changed, names, up_to

from napari_dacapo_tasks.arrays import Channel
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.errors import RunError
from napari_dacapo_tasks.runs.create import Row
from napari_dacapo_tasks.runs.run_folder import RunFolder
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

    def test_validating_on_what_trains_is_told(self, make_run, volume):
        raw, labels = volume.array(volume.raw), volume.array(volume.labels)
        rows = [Row(raw, labels, use=use, name=use) for use in ("train", "validate")]
        run = make_run(rows=rows, trainer={"iterations": 1})
        notice, *_ = all_of(run, Notice)
        assert notice.text.startswith("validate validates on voxels of which train trains")

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
                kept = [weakref.ref(p) for p in trainer.learner.model.parameters()]
                for event in training:
                    if ending == "stop" and isinstance(event, Stepped):
                        training.close()
                assert [one for one in kept if one() is not None] == []
            finally:
                gc.enable()

    def test_no_global_default_is_changed(self, make_run, two_threads):
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002
        states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        dtype = torch.get_default_dtype()
        all_of(make_run(trainer={"iterations": 2, "seed": 9}))
        assert torch.equal(torch.get_rng_state(), states[0])
        assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
        assert (torch.get_num_threads(), torch.get_default_dtype()) == (two_threads, dtype)
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
