"""How the command ends where nobody waits for its end: signals, and readers that are gone."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys

import pytest

from napari_dacapo_tasks.cli.common import followed
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.terminal import Stopped

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


@pytest.fixture
def signalled(monkeypatch):
    """Let a verb get a signal where it works."""

    def at(number):
        found = "napari_dacapo_tasks.runs.run_list.list_runs"
        monkeypatch.setattr(found, lambda _: os.kill(os.getpid(), number))

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # it is put back
    return at


@posix
class TestSignals:
    def test_what_ends_a_job(self, command, signalled):
        signalled(signal.SIGTERM)
        assert command("runs") == (128 + signal.SIGTERM, "", "Stopped.\n")

    def test_ctrl_c_ends_it_as_shells_expect(self, command, signalled, capsys):
        signalled(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            command("runs")
        sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
        assert capsys.readouterr().err == "Stopped.\n"

    def test_a_late_one_takes_no_sentence(self):
        """Python ends, after all is said: a traceback out of that would be told to nobody."""
        code = (
            "import atexit, os, signal, sys\n"
            # which shells switch off for what they start in the background
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from napari_dacapo_tasks.cli import main\n"
            f"atexit.register(os.kill, os.getpid(), {int(signal.SIGINT)})\n"
            "sys.argv = ['', '--version']\n"
            "main()"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
        assert done.stdout

    def test_work_is_left_after_its_step(self):
        left = []

        def steps():
            try:
                yield 1
                yield 2
            finally:
                left.append(True)

        with pytest.raises(Stopped) as end:
            followed(steps(), lambda _: os.kill(os.getpid(), signal.SIGTERM))
        assert (left, end.value.number) == ([True], signal.SIGTERM)

    def test_what_fails_by_the_signal_is_no_failure(self):
        def steps():
            os.kill(os.getpid(), signal.SIGTERM)  # Ctrl-C reaches helping processes, too
            raise DataError("The helper was killed: please report it.")
            yield

        with pytest.raises(Stopped):
            followed(steps(), print)


class Gone(io.StringIO):
    """A stream whose reader is gone, or whose disk is full."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def flush(self):
        raise OSError(self.number, os.strerror(self.number))


class TestOutput:
    def test_that_nobody_reads(self, monkeypatch, command, make_run, tmp_path):
        make_run("one")
        monkeypatch.setattr(sys, "stdout", Gone(errno.EPIPE))
        code, _, error = command("runs", tmp_path)
        assert (code, error) == (1, "")

    def test_on_a_full_disk(self, monkeypatch, command, make_run, tmp_path):
        make_run("one")
        monkeypatch.setattr(sys, "stdout", Gone(errno.ENOSPC))
        code, _, error = command("runs", tmp_path)
        assert code == 1
        assert error == (
            "The result cannot be written to standard output: No space left on device.\n"
        )

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows tells of a gone reader otherwise")
    def test_into_a_pipe_that_is_closed(self, tmp_path):
        reading, writing = os.pipe()
        os.close(reading)
        arguments = [sys.executable, "-m", "napari_dacapo_tasks", "runs", str(tmp_path)]
        try:
            done = subprocess.run(arguments, stdout=writing, stderr=subprocess.PIPE, text=True)
        finally:
            os.close(writing)
        assert (done.returncode, done.stderr) == (1, "")

    def test_without_standard_error_sentences_do_not_go_among_results(
        self, monkeypatch, command, tmp_path
    ):
        monkeypatch.setattr(sys, "stderr", None)
        assert command("train", tmp_path)[:2] == (1, "")
        assert command("new", tmp_path / "run", "--task", tmp_path / "gone.yaml")[:2] == (1, "")
