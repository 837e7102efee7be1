"""What a person at a terminal sees of long work, and how it is stopped there."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from napari_dacapo_tasks.errors import UserError

if TYPE_CHECKING:
    from napari_dacapo_tasks.training.events import Stepped

MEMORY_SCREEN = "-screen 0 1600x1000x24"
"""What Xvfb draws: large enough for napari with a dock on each side, in true colours."""


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
        self._silent = silent
        self._overwrites = sys.stderr.isatty()
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
            print(f"\r{text:<{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(text)
        elif monotonic() - self._shown_at >= self.SECONDS:
            print(text, file=sys.stderr, flush=True)
            self._shown_at = monotonic()

    def say(self, text: str) -> None:
        """Write something that stays."""
        if self._silent:
            return
        self._clear()
        print(text, file=sys.stderr, flush=True)

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
            print(f"\r{'':<{self._width}}\r", end="", file=sys.stderr, flush=True)
            self._width = 0


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


@contextmanager
def interrupted_softly(repeated: float = 0.0, silent: bool = False) -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into an answer to ask for; a second one ends at once.

    Parameters
    ----------
    repeated
        Seconds in which a further signal counts as the same one: ``torchrun`` passes on to its
        processes what terminals and clusters send to all of them, too.
    silent
        Whether another process says that training stops.
    """
    received: list[float] = []
    before: dict[int, Any] = {}

    def receive(number: int, frame: FrameType | None) -> None:
        if received and monotonic() - received[0] > repeated:
            restore()
            signal.raise_signal(number)
            return
        if not received and not silent:
            # print may be under way, and is not reentrant
            os.write(2, b"\nStopping after this step\n")
        received.append(monotonic())

    def restore() -> None:
        for one, handler in before.items():
            signal.signal(one, handler)

    for one in (signal.SIGINT, signal.SIGTERM):
        before[one] = signal.signal(one, receive)
    try:
        yield lambda: bool(received)
    finally:
        restore()


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
