"""What a person at a terminal sees of long work, and how it is stopped there."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys

import pytest

from napari_dacapo_tasks.terminal import (
    ProgressLine,
    Stopped,
    interrupted_softly,
    say,
    stopped_at_once,
)
from napari_dacapo_tasks.training.events import Stepped


class Terminal(io.StringIO):
    def isatty(self):
        return True


def screen(text: str) -> str:
    """Give what a line looks like after everything has been written over."""
    line = ""
    for part in text.split("\r"):
        line = part + line[len(part) :]
    return line.rstrip()


def test_a_terminal_shows_the_last_state_only(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with ProgressLine() as line:
        line.show("a long beginning")
        line.show("short")
        assert screen(sys.stderr.getvalue()) == "short"
    assert screen(sys.stderr.getvalue()) == ""


def test_what_is_said_stays(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with ProgressLine() as line:
        line.show("a long beginning")
        line.say("note")
    first, _ = sys.stderr.getvalue().split("\n")
    assert screen(first) == "note"


@pytest.fixture
def columns(monkeypatch):
    """Make a terminal with a number of columns."""

    def make(number):
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("COLUMNS", str(number))

    return make


def test_steps_tell_loss_rate_and_time_left(columns):
    columns(60)  # too few for a bar
    line = ProgressLine()
    line.step(Stepped(1, 0.3, 2.0), 4001)
    assert screen(sys.stderr.getvalue()) == (
        "iteration 1/4001, loss 0.3, 0.5 per second, 2:13:20 left"
    )
    line.step(Stepped(2, 0.1, 1.0), 62)
    assert screen(sys.stderr.getvalue()) == "iteration 2/62, loss 0.2, 0.67 per second, 1:30 left"


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (200, "[###############...............] validating"),
        (24, "[#####.....] validating"),
        (22, "[####....] validating"),
        (21, "validating"),
        (8, "validat"),
    ],
)
def test_a_bar_takes_the_room_that_there_is(columns, width, shown):
    columns(width)
    ProgressLine().show("validating", 0.5)
    assert screen(sys.stderr.getvalue()) == shown


@pytest.mark.parametrize(("share", "full"), [(-1, 0), (0, 0), (0.01, 0), (1, 30), (2, 30)])
def test_a_bar_stays_within_its_ends(columns, share, full):
    columns(200)
    ProgressLine().show("", share)
    assert screen(sys.stderr.getvalue()) == f"[{'#' * full}{'.' * (30 - full)}]"


def test_another_process_may_speak_for_this_one(columns):
    columns(80)
    with ProgressLine(silent=True) as line:
        line.show("where it is", 0.5)
        line.say("note")
        line.step(Stepped(1, 0.3, 2.0), 10)
    assert sys.stderr.getvalue() == ""


def test_a_file_gets_a_line_now_and_then(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr("napari_dacapo_tasks.terminal.monotonic", lambda: now[0])
    with ProgressLine() as line:
        for second in range(25):
            now[0] = 100.0 + second
            line.show(f"second {second}")
    assert capsys.readouterr().err == "second 0\nsecond 10\nsecond 20\n"


@pytest.fixture
def usual_interrupt():
    """Let Ctrl-C raise, which shells switch off for what they start in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("usual_interrupt")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_the_first_signal_asks_and_the_second_ends():
    with interrupted_softly() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted() == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("usual_interrupt")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_that_is_passed_on_counts_once(monkeypatch, capfd):
    now = [100.0]
    monkeypatch.setattr("napari_dacapo_tasks.terminal.monotonic", lambda: now[0])
    with interrupted_softly(repeated=5.0) as interrupted:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            now[0] += 2
        assert interrupted()
        assert capfd.readouterr().err == "\nStopping after this step\n"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_where_another_process_says_so_a_signal_is_silent(capfd):
    with interrupted_softly(silent=True) as interrupted:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupted()
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
class TestStopped:
    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
    def test_a_signal_raises(self, name):
        number = getattr(signal, name)
        before = signal.signal(number, signal.SIG_DFL)  # nohup may have them ignored
        try:
            with pytest.raises(Stopped) as stopped, stopped_at_once():
                os.kill(os.getpid(), number)
            assert stopped.value.number == number
            assert signal.getsignal(number) is signal.SIG_DFL
        finally:
            signal.signal(number, before)

    def test_softly_it_is_the_second_one(self):
        with stopped_at_once(), interrupted_softly(silent=True) as asked:
            os.kill(os.getpid(), signal.SIGTERM)
            assert asked() == signal.SIGTERM
            with pytest.raises(Stopped):
                os.kill(os.getpid(), signal.SIGINT)

    def test_what_shall_outlive_its_terminal_does(self):
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        try:
            with stopped_at_once(), interrupted_softly() as interrupted:
                os.kill(os.getpid(), signal.SIGHUP)
                assert not interrupted()
        finally:
            signal.signal(signal.SIGHUP, before)


class Closed(Terminal):
    """A terminal that was closed meanwhile."""

    written = 0

    def write(self, text):
        self.written += 1
        raise OSError(errno.EIO, "Input/output error")


def test_no_work_is_lost_for_a_terminal_that_is_gone(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Closed())
    with ProgressLine() as line:
        line.show("step 1")
        line.say("note")
        line.show("step 2")
    assert sys.stderr.written == 1  # nobody is asked again
    assert not say("sentence")


def test_without_standard_error_nothing_is_written_elsewhere(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    with ProgressLine() as line:
        line.show("step")
        line.say("note")
    assert not say("sentence")
    assert capsys.readouterr().out == ""
