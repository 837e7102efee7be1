"""What a person at a terminal sees of long work, and how it is stopped there."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from types import FrameType, TracebackType
from typing import IO, TYPE_CHECKING, Any, NoReturn, Self

from napari_dacapo_tasks.errors import UserError

if TYPE_CHECKING:
    from napari_dacapo_tasks.training.events import Stepped

MEMORY_SCREEN = "-screen 0 1600x1000x24"
"""What Xvfb draws: large enough for napari with a dock on each side, in true colours."""


def say(text: str, end: str = "\n") -> bool:
    """Write on standard error, where anybody is there to read it.

    Returns
    -------
    bool
        False where it is closed, or leads nowhere any more: no work is lost for that.
    """
    if sys.stderr is None:  # print would take standard output instead
        return False
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except OSError:
        abandon(sys.stderr)
        return False
    return True


def abandon(stream: IO[str]) -> None:
    """Let what a stream still holds go nowhere: Python writes it when it ends, and fails again."""
    with suppress(OSError, ValueError), open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), stream.fileno())


class ProgressLine:
    """One line on standard error that is written over; a line now and then where it cannot be.

    Parameters
    ----------
    silent
        Whether to write nothing at all, as where another process speaks for all.
    """

    LOOKS_BACK = 20
    """Steps over which the loss and the rate are averaged."""

    SECONDS = 10.0
    """From one line to the next in a file."""

    def __init__(self, silent: bool = False) -> None:
        self._silent = silent or sys.stderr is None
        self._overwrites = not self._silent and sys.stderr.isatty()
        self._shown_at = -self.SECONDS
        self._width = 0
        self._steps: deque[Stepped] = deque(maxlen=self.LOOKS_BACK)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clear()

    def show(self, text: str, share: float | None = None) -> None:
        """Show where things stand; a share that is done as a bar, where the line has room."""
        if self._silent:
            return
        if self._overwrites:
            text = _fitted(text, share, shutil.get_terminal_size().columns - 1)
            self._write(f"\r{text:<{self._width}}", end="")
            self._width = len(text)
        elif monotonic() - self._shown_at >= self.SECONDS:
            self._write(text)
            self._shown_at = monotonic()

    def say(self, text: str) -> None:
        """Write something that stays."""
        if self._silent:
            return
        self._clear()
        self._write(text)

    def step(self, step: Stepped, iterations: int) -> None:
        """Show how training goes."""
        self._steps.append(step)
        count = len(self._steps)
        seconds = sum(one.seconds for one in self._steps) / count
        loss = sum(one.loss for one in self._steps) / count
        left = _duration((iterations - step.iteration) * seconds)
        self.show(
            f"iteration {step.iteration}/{iterations}, loss {loss:.4g}, "
            f"{1 / max(seconds, 1e-9):.2g} per second, {left} left",
            step.iteration / iterations,
        )

    def _clear(self) -> None:
        if self._width:
            self._write(f"\r{'':<{self._width}}\r", end="")
            self._width = 0

    def _write(self, text: str, end: str = "\n") -> None:
        if not self._silent:
            self._silent = not say(text, end)


BAR_WIDTHS = (8, 30)
"""Characters that a bar has at least, else there is none, and at most."""


def _fitted(text: str, share: float | None, columns: int) -> str:
    """Put a bar before a text where it fits; a longer line would not be written over."""
    least, most = BAR_WIDTHS
    width = min(most, columns - len(text) - len("[] "))
    if share is None or width < least:
        return text[: max(columns, 0)]
    full = round(min(max(share, 0.0), 1.0) * width)
    return f"[{'#' * full}{'.' * (width - full)}] {text}"


STOPPING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Ctrl-C, what clusters and ``kill`` send, and the terminal that is closed."""


class Stopped(BaseException):
    """A signal ends the command; no mistake, so what catches those lets it pass.

    Parameters
    ----------
    number
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def interrupted_softly(repeated: float = 0.0, silent: bool = False) -> Iterator[Callable[[], int]]:
    """Turn the first signal of `STOPPING` into an answer to ask for; a second one ends at once.

    The answer is the number of the signal, 0 before there is one.

    Parameters
    ----------
    repeated
        Seconds in which a further signal counts as the same one: ``torchrun`` passes on to its
        processes what terminals and clusters send to all of them, too.
    silent
        Whether another process says that training stops.
    """
    received: list[tuple[float, int]] = []

    def receive(number: int, frame: FrameType | None) -> None:
        if received and monotonic() - received[0][0] > repeated:
            restore()
            signal.raise_signal(number)
            return
        if not received and not silent and sys.stderr is not None:
            # print may be under way, and is not reentrant
            with suppress(OSError):
                os.write(2, b"\nStopping after this step\n")
        received.append((monotonic(), number))

    restore = _handle(receive)
    try:
        yield lambda: received[0][1] if received else 0
    finally:
        restore()


@contextmanager
def stopped_at_once(handler: Any = None) -> Iterator[None]:
    """Let a signal of `STOPPING` raise `Stopped`, so that what is half made is cleared away.

    Parameters
    ----------
    handler
        What else it does, as ``signal.SIG_DFL``.
    """

    def receive(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    restore = _handle(receive if handler is None else handler)
    try:
        yield
    finally:
        restore()


def _handle(handler: Any) -> Callable[[], None]:
    """Handle the signals of `STOPPING`; give what undoes it."""
    before = {}
    for one in STOPPING:
        # nohup lets a program outlive its terminal
        if one.name != "SIGHUP" or signal.getsignal(one) is not signal.SIG_IGN:
            before[one] = signal.signal(one, handler)

    def restore() -> None:
        for one, former in before.items():
            signal.signal(one, former)

    return restore


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def has_screen() -> bool:
    """Say whether a window can be opened."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def run_without_screen(arguments: Sequence[str]) -> NoReturn:
    """Run this program anew, with a screen that is drawn into memory.

    Raises
    ------
    UserError
        Where Xvfb is missing, which draws it.
    """
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        raise UserError(
            "There is no screen to open a window on: install xvfb (on Debian or Ubuntu: apt-get "
            "install xvfb), which draws one into memory, or run this on a desktop."
        )
    screen = [xvfb, "-a", "-s", MEMORY_SCREEN, sys.executable, "-m", "napari_dacapo_tasks"]
    sys.stdout.flush()
    os.execv(xvfb, [*screen, *arguments])
