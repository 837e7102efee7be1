import sys
import tempfile

import numpy as np
import psutil
import pytest

from napari_dacapo_tasks.errors import DataError, UserError
from napari_dacapo_tasks.numerics import mutex_watershed as numerics
from napari_dacapo_tasks.tasks.post_processors import mutex_watershed as module
from napari_dacapo_tasks.tasks.post_processors.mutex_watershed import (
    MutexWatershedPostProcessor,
    MutexWatershedPostProcessorParameters,
)

PLANE = [(1, 0), (0, 1), (0, 2)]
VOLUME = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, -3, 2)]


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Give the folder where temporary ones are made; nothing is left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def no_process(monkeypatch):
    def start(*_, **__):
        pytest.fail("there is nothing to settle")

    monkeypatch.setattr("napari_dacapo_tasks.numerics.apart._start", start)


def process(values, offsets, **changes):
    processor = MutexWatershedPostProcessor(offsets)
    return processor.process(values, processor.default.model_copy(update=changes))


def affinities(ids, offsets):
    made = np.zeros((len(offsets), *ids.shape), np.uint8)
    for affinity, offset in zip(made, offsets, strict=True):
        axes = list(zip(offset, ids.shape, strict=True))
        here = tuple(slice(max(0, -step), min(n, n - step)) for step, n in axes)
        there = tuple(slice(max(0, step), min(n, n + step)) for step, n in axes)
        affinity[here] = (ids[here] == ids[there]) & (ids[here] > 0)
    return made


def same_regions(first, second):
    pairs = set(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


DISPUTED = np.zeros((3, 2, 5))
"""Two rows of five: chains of three and two, and one of three whose ends repel each other."""
DISPUTED[1, :, :2] = DISPUTED[1, :, 3] = 0.9
DISPUTED[2, 0, 0] = 1
DISPUTED[2, 1, 0] = 0


def test_perfect_affinities_need_no_mutex_watershed(prediction, same_place, cells, no_process):
    ids = cells((20, 30, 32), 15)
    values = prediction(affinities(ids, VOLUME))
    labels = process(values, VOLUME)
    assert labels.data.shape == (1, 20, 30, 32)
    assert labels.data.dtype == np.uint32
    same_place(labels, values)
    for label in range(1, labels.data.max() + 1):
        assert len(np.unique(ids[labels.data[0] == label])) == 1
    found = {label: labels.data[0][ids == label] for label in np.unique(ids[ids > 0])}
    assert all(np.bincount(one).max() > 0.9 * one.size for one in found.values())


def test_two_dimensions(prediction, same_place, cells, no_process):
    ids = cells((40, 44), 10)
    values = prediction(affinities(ids, PLANE))
    labels = process(values, PLANE)
    assert labels.data.shape == (1, 40, 44)
    same_place(labels, values)


def test_only_what_is_in_dispute_is_settled(prediction, same_place, monkeypatch):
    seen = []
    settle = MutexWatershedPostProcessor._settle

    def spy(self, part, biases):
        seen.append(part.shape)
        return settle(self, part, biases)

    monkeypatch.setattr(MutexWatershedPostProcessor, "_settle", spy)
    values = prediction(DISPUTED)
    labels = process(values, PLANE)
    assert seen == [(3, 1, 3)]
    # The surest pair keeps the third of the chain apart, a single voxel, which is no object.
    assert same_regions(labels.data[0], np.array([[1, 1, 1, 2, 2], [4, 4, 0, 3, 3]]))
    assert labels.data.max() == 4
    same_place(labels, values)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_as_mwatershed_on_the_whole(prediction, kind):
    offsets = [(-1, 0, 0), (0, 1, 0), (0, 0, -1), (0, 3, 3), (2, 0, -4), (40, 0, 0)]
    random = np.random.default_rng(0).normal(0.55, 0.2, (6, 9, 10, 11)).astype(kind)
    random[:, 3, 4] = np.nan
    labels = process(prediction(random), offsets, bias=0.4, long_bias=0.6).data[0]
    whole = numerics.mutex_watershed(random, offsets, [0.4] * 3 + [0.6] * 3)
    sizes = np.bincount(whole.ravel())
    assert same_regions(labels, np.where(sizes[whole] > 1, whole, 0))
    assert labels.max() > 5


def test_short_and_long_offsets_have_their_own_bias(prediction):
    chain = np.zeros((3, 1, 3))
    chain[1, 0, :2] = 0.8
    chain[2, 0, 0] = 0.4
    assert process(prediction(chain), PLANE).data.tolist() == [[[1, 1, 1]]]
    assert process(prediction(chain), PLANE, long_bias=0.75).data.max() == 1
    assert (process(prediction(chain), PLANE, long_bias=0.75).data == 0).sum() == 1
    assert not process(prediction(chain), PLANE, bias=0.85).data.any()


def test_small_objects_and_single_voxels_go(prediction):
    ids = np.array([[1, 1, 1, 2, 2, 3]])
    values = prediction(affinities(ids, PLANE))
    assert process(values, PLANE).data.tolist() == [[[1, 1, 1, 2, 2, 0]]]
    assert process(values, PLANE, min_size=3).data.tolist() == [[[1, 1, 1, 0, 0, 0]]]
    assert process(values, PLANE, min_size=0).data.tolist() == [[[1, 1, 1, 2, 2, 0]]]


def test_descriptors_after_the_affinities_are_not_used(prediction):
    ids = np.array([[1, 1, 2, 2]])
    made = affinities(ids, PLANE).astype(np.float32)
    with_more = np.concatenate([made, np.ones((6, 1, 4), np.float32)])
    assert process(prediction(with_more), PLANE).data.tolist() == [[[1, 1, 2, 2]]]


def test_nan_is_no_object(prediction):
    assert not process(prediction(np.full((3, 4, 5), np.nan)), PLANE).data.any()


def test_too_few_channels_are_refused(prediction):
    with pytest.raises(DataError, match="2 channels, but the task needs 3"):
        process(prediction(np.zeros((2, 4, 5))), PLANE)


def test_offsets_of_other_dimensions_are_refused(prediction):
    with pytest.raises(DataError, match=r"The offset \(1, 0\) does not fit a prediction of 3 axes"):
        process(prediction(np.zeros((3, 4, 5, 6))), PLANE)


def test_too_little_memory_is_said_before_it_starts(prediction, monkeypatch, no_process):
    class Memory:
        available = 100

    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: Memory)
    with pytest.raises(DataError, match=r"1 x 3 voxels with 3 offsets needs about .* smaller"):
        process(prediction(DISPUTED), PLANE)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Return a function that puts other code in the place of the mutex watershed."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(body):
        (tmp_path / "stand_in.py").write_text(
            "import os, time\ndef mutex_watershed(affinities, offsets, biases):\n    " + body
        )
        import stand_in

        monkeypatch.setattr(numerics, "mutex_watershed", stand_in.mutex_watershed)

    yield put
    sys.modules.pop("stand_in", None)


def test_leaving_ends_the_process(prediction, stand_in, tmp_path):
    path = tmp_path / "pid"
    stand_in(f"open({str(path)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    processor = MutexWatershedPostProcessor(PLANE)
    steps = processor.segment(prediction(DISPUTED), processor.default)
    shares = []
    while len(shares) < 20 or not path.exists() or not path.read_text():
        shares.append(next(steps))
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] < 1
    process = psutil.Process(int(path.read_text()))
    steps.close()
    assert not process.is_running()


def test_a_crash_is_one_sentence(prediction, stand_in):
    stand_in("os._exit(9)")
    with pytest.raises(UserError, match=r"^The mutex watershed failed \(exit code 9\)"):
        process(prediction(DISPUTED), PLANE)


def test_running_out_of_memory_is_one_sentence(prediction, stand_in):
    stand_in("raise MemoryError")
    with pytest.raises(DataError, match=r"^The mutex watershed ran out of memory"):
        process(prediction(DISPUTED), PLANE)


@pytest.mark.parametrize(
    ("offsets", "number"), [(PLANE, 9), (PLANE[:2], 5), ([(0, 3)], 5), (VOLUME, 9)]
)
def test_the_sweep_holds_the_default(offsets, number):
    processor = MutexWatershedPostProcessor(offsets)
    swept = list(processor.enumerate_parameters())
    assert processor.default in swept
    assert len(set(swept)) == len(swept) == number


@pytest.mark.parametrize("wrong", [{"bias": 0}, {"long_bias": 1}, {"min_size": -1}, {"x": 1}])
def test_parameters_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MutexWatershedPostProcessorParameters(**wrong)


def test_holes_are_filled_on_request(prediction, no_process):
    ids = np.ones((5, 9), int)
    ids[1:4, 1:4] = 0
    ids[:, 6:] = 2
    ids[2, 7] = 0
    made = prediction(affinities(ids, PLANE[:2]))
    assert (process(made, PLANE[:2]).data == 0).sum() == 10
    labels = process(made, PLANE[:2], fill_holes=5).data[0]
    np.testing.assert_array_equal(labels[:, 6:], 2)
    assert (labels == 0).sum() == 9


def test_it_sees_twice_as_far_as_its_offsets():
    processor = MutexWatershedPostProcessor([(1, 0, 0), (0, 1, 0), (0, 0, -27), (3, 0, 0)])
    assert tuple(processor.context((40, 4, 4))) == (6, 32, 54)
