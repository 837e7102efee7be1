import threading

import pytest

from napari_dacapo_tasks.numerics.threads import map_in_threads
from napari_dacapo_tasks.segmentation.side_by_side import side_by_side, to_the_end


def returned(steps):
    shares = []
    while True:
        try:
            shares.append(next(steps))
        except StopIteration as stop:
            return shares, stop.value


def test_results_in_the_order_of_the_items():
    second = threading.Event()

    def work(item, is_left):
        if item == 0:
            assert second.wait(60), "two at a time"
        if item == 1:
            second.set()
        return item * item

    shares, results = returned(side_by_side(work, range(5), 2))
    assert results == [0, 1, 4, 9, 16]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_nothing_to_do():
    assert returned(side_by_side(lambda item, _: item, [], 2)) == ([], [])


def test_each_computes_by_itself():
    def work(item, is_left):
        return set(map_in_threads(lambda _: threading.get_ident(), range(8)))

    _, results = returned(side_by_side(work, range(3), 1))
    assert all(len(threads) == 1 for threads in results)


def test_leaving_ends_what_is_running_and_begins_nothing_more():
    begun, ended = [], []
    running = threading.Event()

    def endless(item):
        begun.append(item)
        try:
            while True:
                running.set()
                yield
        finally:
            ended.append(item)

    def work(item, is_left):
        to_the_end(endless(item), is_left)

    steps = side_by_side(work, range(9), 2)
    next(steps)
    assert running.wait(60)
    steps.close()
    assert sorted(ended) == sorted(begun)
    assert len(begun) <= 2


def test_what_one_raises_ends_all():
    ended = []
    running = threading.Event()

    def endless():
        try:
            while True:
                running.set()
                yield
        finally:
            ended.append(True)

    def work(item, is_left):
        if item:
            assert running.wait(60)
            raise ValueError("that one")
        to_the_end(endless(), is_left)

    with pytest.raises(ValueError, match="that one"):
        returned(side_by_side(work, range(2), 2))
    assert ended == [True]


def test_to_the_end_gives_what_is_returned():
    def steps():
        yield 1
        return 7

    assert to_the_end(steps(), lambda: False) == 7
