"""The command ``napari-dacapo-tasks``: what the docks do, without a screen.

Refusals are one sentence on standard error and exit code 1, wrong usage is exit code 2. Only
``train``, ``predict``, ``worker``, ``export`` and ``demo`` import torch, and ``new`` where a task
begins with trained weights.
"""

from __future__ import annotations

import atexit
import signal
import sys
from types import TracebackType
from typing import NoReturn

from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.terminal import STOPPING, Stopped, abandon, say, stopped_at_once


def main() -> None:
    """Run the command; the entry point of the program.

    A signal, or a reader of the output that is gone, ends it without a traceback.
    """
    try:
        with stopped_at_once():
            _run()
    except Stopped as stopped:
        say("Stopped.")
        _end_by(stopped.number)
    finally:
        atexit.register(_end_at_once)


def _run() -> None:
    try:
        # Only now: importing the verbs takes a second, in which a signal may come, too.
        from napari_dacapo_tasks.cli.app import app

        try:
            app()
        finally:
            _flush()
    except UserError as error:
        say(str(error))
        raise SystemExit(1) from None
    except BrokenPipeError:  # `head` has seen enough
        abandon(sys.stdout)
        raise SystemExit(1) from None


def _flush() -> None:
    """Write what is still held, for at Python's end nobody could tell what comes of it."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon(sys.stdout)
        raise UserError(
            f"The result cannot be written to standard output: {error.strerror or error}."
        ) from error


def _end_by(number: int) -> NoReturn:
    """End as a program that a signal ended: a shell then leaves its loop, too."""
    if number == signal.SIGINT and sys.platform != "win32":
        sys.excepthook = _silently
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _silently(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


def _end_at_once() -> None:
    """Let a signal end what is over already: it would be a traceback out of Python's end."""
    for one in STOPPING:
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, signal.SIG_DFL)
