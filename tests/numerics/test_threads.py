import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.balance import balance_weights
from napari_dacapo_tasks.numerics.distances import distance_mask, normalized_distance
from napari_dacapo_tasks.numerics.threads import (
    NICENESS,
    available_cores,
    map_in_threads,
    slices,
    work_alone,
)


def whole_target(labels):
    mask = np.ones(labels.shape, np.uint8)
    mask[:5, :5] = 0
    target = normalized_distance(labels, (8, 4, 4), 20.0)
    kept = distance_mask(target, mask, (8, 4, 4), 20.0)
    weights, _ = balance_weights((labels > 0)[None], 2, [mask, kept])
    return target, kept, weights


def test_many_callers_at_the_same_time_get_their_own_results(cells):
    volumes = [cells((30, 80, 90), 40, seed) for seed in range(4)]
    expected = [whole_target(labels) for labels in volumes]
    start = threading.Barrier(8)

    def call(number):
        start.wait()
        return [whole_target(volumes[(number + turn) % 4]) for turn in range(4)]

    with ThreadPoolExecutor(8) as callers:
        for number, results in enumerate(callers.map(call, range(8))):
            for turn, arrays in enumerate(results):
                for array, right in zip(arrays, expected[(number + turn) % 4], strict=True):
                    np.testing.assert_array_equal(array, right)


def test_several_threads_may_be_the_first_to_call():
    code = """if True:
        import threading
        import numpy as np
        from napari_dacapo_tasks.numerics.distances import signed_distance
        start, results = threading.Barrier(4), []
        def call():
            start.wait()
            results.append(signed_distance(np.eye(9, dtype=np.uint8), (1, 1)))
        threads = [threading.Thread(target=call) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(results) == 4
        assert all((result == results[0]).all() for result in results)
    """
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system starts no processes by fork")
def test_a_forked_process_has_its_own_threads():
    code = """if True:
        import os
        import numpy as np
        from napari_dacapo_tasks.numerics.distances import signed_distance
        labels = (np.random.default_rng(0).random((40, 100, 100)) > 0.99).astype(np.uint8)
        before = signed_distance(labels, (1, 1, 1))
        child = os.fork()
        if child == 0:
            same = (signed_distance(labels, (1, 1, 1)) == before).all()
            os._exit(0 if same else 1)
        assert os.waitpid(child, 0)[1] == 0
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=300)


def test_the_loops_leave_the_interpreter_to_others(turns_beside):
    from napari_dacapo_tasks.numerics.parabolas import Scratch, lower_across

    # One call of some tenths of a second: far from everything, in long columns.
    shape, squares = (6, 1500, 1600), (np.arange(1502) ** 2).astype(np.float32)
    values = Scratch().block("values", shape, np.inf)
    values[:, ::700, :1600] = np.random.default_rng(0).random((6, 3, 1600))
    best = values.copy()
    best[:, :, 1600:] = 0
    limits = np.full(shape[:2], np.inf, np.float32)
    assert turns_beside(lower_across, best, values, squares, limits, 1600) > 5
    assert np.isfinite(best).all()


def test_results_come_in_the_order_of_the_items():
    assert map_in_threads(lambda item: item * item, range(50)) == [i * i for i in range(50)]


def test_an_exception_in_a_thread_reaches_the_caller():
    labels = np.zeros((20, 200, 200), np.int32)
    labels[17, 5, 5] = -4
    with pytest.raises(DataError, match="-4"):
        normalized_distance(labels, (1, 1, 1), 5.0)


@pytest.mark.parametrize(
    ("length", "size", "block_size"), [(10, 100, 35), (7, 7000, 10), (5, 5, 100), (0, 0, 8)]
)
def test_slices_cover_the_axis_once(length, size, block_size):
    covered = [i for part in slices(length, size, block_size) for i in range(length)[part]]
    assert covered == list(range(length))
    row = size // length if length else 1
    assert all(
        (part.stop - part.start) * row <= max(block_size, row)
        for part in slices(length, size, block_size)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux")
def test_threads_give_way_to_a_windows_own():
    if available_cores() == 1:
        pytest.skip("with one core everything is computed by the caller")

    def niceness(_):
        time.sleep(0.01)
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert set(map_in_threads(niceness, range(8))) == {max(NICENESS, mine)}
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine


def test_a_thread_that_works_alone_hands_nothing_on(cells):
    labels = cells((30, 80, 90), 40, 0)
    expected = whole_target(labels)

    def call():
        work_alone()
        here = threading.get_ident()
        assert set(map_in_threads(lambda _: threading.get_ident(), range(4))) == {here}
        return whole_target(labels)

    with ThreadPoolExecutor(1) as alone:
        for array, right in zip(alone.submit(call).result(), expected, strict=True):
            np.testing.assert_array_equal(array, right)
