"""Batches are the same however they are prepared, and what goes wrong is told where it matters."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import numpy as np
import pytest
import torch

from napari_dacapo_tasks.errors import DataError, RunError
from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    HotDistanceTaskConfig,
    OneHotTaskConfig,
)
from napari_dacapo_tasks.training import loader as loader_module
from napari_dacapo_tasks.training.ahead import Ahead, ClosedError
from napari_dacapo_tasks.training.loader import Loader, default_workers
from napari_dacapo_tasks.training.world import World

NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
ALL_KINDS = AugmentationConfig(
    intensity=0.5, deform=0.5, rotation=20, elastic=4, elastic_spacing=100, dark_sections=0.2
)
TASKS = [
    OneHotTaskConfig(name="classes", classes=[str(n) for n in range(13)]),
    AffinitiesTaskConfig(name="shapes", neighborhood=NEAREST, lsds=True, num_lsd_voxels=2),
    HotDistanceTaskConfig(
        name="hot", channels=["balls"], scale_factor=24, clip_distance=80, tol_distance=16
    ),
]


@pytest.fixture(autouse=True)
def nothing_dangles():
    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("loader")]
    assert not left


@pytest.fixture
def loaded():
    """Make loaders that are closed in the end."""
    made = []

    def make(sampler, crops=2, first=1, **more):
        made.append(Loader(sampler, crops, first, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def taken(loader, first=1, count=4):
    return [loader.take(iteration) for iteration in range(first, first + count)]


def assert_same(batches, others):
    for one, other in zip(batches, others, strict=True):
        assert torch.equal(one.raw, other.raw)
        assert torch.equal(one.target, other.target)
        assert torch.equal(one.weight, other.weight)
        assert one.class_counts == other.class_counts


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_batches_are_float32_with_all_axes(sampler, volume, loaded, task):
    channel = "balls" if task.has_channels() else "labels"
    made = sampler(ground_truth=volume.ground_truth(channel=channel), task=task)
    batch = loaded(made, crops=3, workers=1).take(1)
    channels = made.predictor.embedding_dims
    assert batch.raw.shape == (3, 1, 24, 24, 24)
    assert batch.target.shape == batch.weight.shape == (3, channels, 8, 8, 8)
    assert {t.dtype for t in (batch.raw, batch.target, batch.weight)} == {torch.float32}
    assert 0 <= batch.waited < 60


@pytest.mark.parametrize("task", [None, *TASKS], ids=lambda task: task and task.name)
def test_batches_do_not_depend_on_the_number_of_workers(sampler, volume, loaded, task):
    truth = volume.ground_truth(channel="labels") if task and not task.has_channels() else None

    def batches(workers):
        made = sampler(ground_truth=truth, task=task, augmentation=ALL_KINDS)
        return taken(loaded(made, workers=workers))

    alone = batches(0)
    assert len({float(batch.raw.sum()) for batch in alone}) == 4
    for workers in (1, 3):
        assert_same(batches(workers), alone)


@pytest.mark.parametrize("workers", [0, 2])
def test_going_on_is_as_if_nobody_had_stopped(sampler, loaded, workers):
    whole = taken(loaded(sampler(), workers=workers), count=6)
    counts = whole[2].class_counts
    later = loaded(sampler(), first=4, class_counts=counts, workers=workers)
    assert_same(taken(later, first=4, count=3), whole[3:])


def test_weights_are_balanced_over_all_crops_so_far(sampler, loaded):
    made = sampler()
    batches = taken(loaded(made, workers=2))
    counts = None
    for iteration, batch in enumerate(batches, start=1):
        for index in range(2):
            crop, counts = made.weigh(made.first_draft(iteration, index), counts)
            np.testing.assert_array_equal(batch.weight[index].numpy(), crop.weight.data)
        assert batch.class_counts == counts


def test_the_last_iteration_is_the_last(sampler, loaded, monkeypatch):
    made = sampler()
    asked = []
    draft = made.first_draft
    monkeypatch.setattr(made, "first_draft", lambda *number: asked.append(number) or draft(*number))
    loader = loaded(made, workers=2, last=2)
    taken(loader, count=2)
    for thread in loader._drafts._threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(asked) == [(1, 0), (1, 1), (2, 0), (2, 1)]


class Group:
    """Two processes as two threads, which meet in `gather`."""

    def __init__(self, size=2):
        self.barrier = threading.Barrier(size)
        self.values = [None] * size

    def world(self, rank):
        group = self

        class Member(World):
            def gather(self, value):
                group.values[rank] = value
                group.barrier.wait(60)
                found = list(group.values)
                group.barrier.wait(60)
                return found

        return Member(rank, len(self.values))

    def run(self, work):
        results = [None] * len(self.values)

        def one(rank):
            try:
                results[rank] = work(rank, self.world(rank))
            except Exception as error:
                results[rank] = error

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(len(results))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        return results


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("task", [None, TASKS[1], TASKS[2]], ids=lambda task: task and task.name)
def test_two_processes_make_the_batches_of_one(sampler, volume, loaded, task, workers):
    truth = volume.ground_truth(channel="labels") if task and not task.has_channels() else None

    def part(rank, world):
        made = sampler(ground_truth=truth, task=task, augmentation=ALL_KINDS)
        return taken(loaded(made, crops=2, world=world, workers=workers))

    whole = taken(
        loaded(sampler(ground_truth=truth, task=task, augmentation=ALL_KINDS), crops=4, workers=0)
    )
    first, second = Group().run(part)
    for one, other, both in zip(first, second, whole, strict=True):
        assert torch.equal(torch.cat([one.raw, other.raw]), both.raw)
        assert torch.equal(torch.cat([one.target, other.target]), both.target)
        assert torch.equal(torch.cat([one.weight, other.weight]), both.weight)
        assert one.class_counts == other.class_counts == both.class_counts


def failing(made, at, error):
    draft = made.first_draft

    def fail(iteration, index):
        if (iteration, index) == at:
            raise error
        return draft(iteration, index)

    made.first_draft = fail
    return made


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("error", [DataError("It is gone."), ZeroDivisionError("ours")], ids=repr)
def test_what_goes_wrong_with_a_crop_is_raised_with_its_batch(sampler, loaded, workers, error):
    loader = loaded(failing(sampler(), (3, 1), error), workers=workers)
    taken(loader, count=2)
    with pytest.raises(type(error)) as caught:
        loader.take(3)
    assert caught.value is error


def test_what_goes_wrong_in_one_process_ends_all(sampler, loaded):
    def part(rank, world):
        made = sampler()
        if rank == 1:
            failing(made, (2, 3), DataError("It is gone."))
        return taken(loaded(made, world=world, workers=1))

    for error in Group().run(part):
        assert isinstance(error, DataError)
        assert str(error) == "It is gone."


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_closing_at_any_time_ends_all_threads(sampler, workers):
    for count in (0, 1, 2):
        loader = Loader(sampler(), 2, 1, workers=workers)
        taken(loader, count=count)
        loader.close()
        loader.close()
        with pytest.raises(ClosedError):
            loader.take(count + 1)


def test_closing_while_all_is_full(sampler):
    loader = Loader(sampler(), 1, 1, workers=2)
    deadline = time.monotonic() + 60
    while len(loader._batches._made) < loader_module.AHEAD and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(loader._batches._made) == loader_module.AHEAD
    loader.close()


def test_data_is_free_when_it_is_closed(sampler):
    gc.disable()  # at once, not some time later
    try:
        made = sampler()
        reference = weakref.ref(made)
        loader = Loader(made, 1, 1, workers=2)
        loader.take(1)
        loader.close()
        del made, loader
        assert reference() is None
    finally:
        gc.enable()


def test_batches_are_taken_in_order(sampler, loaded):
    loader = loaded(sampler(), workers=1)
    with pytest.raises(AssertionError):
        loader.take(2)


def test_pytorch_keeps_its_threads(sampler, loaded, two_threads):
    found = []
    made = sampler()
    draft = made.first_draft
    made.first_draft = lambda *n: found.append(torch.get_num_threads()) or draft(*n)
    taken(loaded(made, workers=2), count=1)
    assert set(found) == {1}
    later = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert (torch.get_num_threads(), later) == (two_threads, [two_threads])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_batches_go_to_the_graphics_card(sampler, loaded):
    there = taken(loaded(sampler(), workers=2, device="cuda"))
    assert {batch.raw.device.type for batch in there} == {"cuda"}
    here = taken(loaded(sampler(), workers=0))
    assert_same([batch.to(torch.device("cpu")) for batch in there], here)


def test_workers_suit_the_machine(monkeypatch):
    for cores, cpu, cuda in ((1, 1, 1), (2, 1, 1), (8, 2, 7), (16, 4, 8), (128, 8, 8)):
        monkeypatch.setattr(loader_module, "available_cores", lambda cores=cores: cores)
        assert default_workers("cpu") == cpu
        assert default_workers("cuda") == cuda
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    monkeypatch.setattr(loader_module, "available_cores", lambda: 64)
    assert default_workers("cuda", 16) == 7, "the other processes are on other machines"


class TestAhead:
    """What loaders are made of: items made ahead by threads."""

    @pytest.mark.parametrize("workers", [0, 1, 4])
    def test_items_come_in_order(self, workers):
        def make(number):
            time.sleep(0.001 * (7 * number % 5))
            return number**2

        items = Ahead(make, 3, None, workers, 4)
        assert [items.take(n) for n in range(3, 40)] == [n**2 for n in range(3, 40)]
        items.close()

    def test_no_more_are_made_than_allowed(self):
        made = []
        items = Ahead(lambda n: made.append(n), 0, None, 2, 5)
        for taken_so_far in range(3):
            deadline = time.monotonic() + 60
            while len(made) < taken_so_far + 5 and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(0.05)
            assert sorted(made) == list(range(taken_so_far + 5))
            items.take(taken_so_far)
        items.close()

    def test_whoever_waits_is_told_when_it_is_closed(self):
        begun, goes_on = threading.Event(), threading.Event()

        def make(_):
            begun.set()
            goes_on.wait(60)

        items = Ahead(make, 0, None, 1, 1)
        told = []

        def wait():
            try:
                items.take(0)
            except ClosedError:
                told.append(True)

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert begun.wait(60)
        items.stop()
        waiting.join(60)
        assert told == [True]
        goes_on.set()
        items.close()

    def test_nothing_holds_what_was_taken(self):
        class Item:
            pass

        items = Ahead(lambda _: Item(), 0, 0, 1, 1)
        reference = weakref.ref(items.take(0))
        gc.collect()
        assert reference() is None
        items.close()

    def test_errors_do_not_end_the_threads(self):
        def make(number):
            if number == 1:
                raise RunError("not this one")
            return number

        items = Ahead(make, 0, None, 2, 3)
        assert items.take(0) == 0
        with pytest.raises(RunError, match="not this one"):
            items.take(1)
        assert items.take(2) == 2
        items.close()

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_thread_that_cannot_be_prepared_says_so(self, workers):
        def prepare():
            raise RuntimeError("can't start new thread")

        items = Ahead(lambda number: number, 0, None, workers, 2, prepare)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            items.take(0)
        items.close()
