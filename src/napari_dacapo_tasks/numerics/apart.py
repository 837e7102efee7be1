"""A function that holds the interpreter lock, or cannot be stopped, in a process of its own.

`multiprocessing` will not do: where it starts processes by spawn it runs the user's own script
again, and one without ``if __name__ == "__main__"`` would open a second napari. So a new
interpreter is told by name what to call, and arrays go through files in a temporary folder.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks import errors
from napari_dacapo_tasks.errors import DataError, UserError

POLL_SECONDS = 0.05
"""Between two looks at whether the process has ended."""

NICENESS = 10
"""How much the process gives way to the window."""

_CALL, _ARGUMENT, _RESULT, _REFUSAL, _SAID = (
    "call.json",
    "argument.npy",
    "result.npy",
    "refusal.json",
    "said.txt",
)
# What a program of Rust or C++ says where it cannot get more memory.
_OUT_OF_MEMORY = ("MemoryError", "memory allocation of", "bad_alloc")


def call_apart(
    function: Callable[..., NDArray[Any]], array: NDArray[Any], **settings: Any
) -> Generator[None, None, NDArray[Any]]:
    """Call ``function(array, **settings)`` in a process of its own; leaving it ends the process.

    Parameters
    ----------
    function
        From the top level of a module that is light to import.
    array
        Its first axis is what is written in one go. The function gets it mapped, not read.
    settings
        Values that JSON knows.

    Yields
    ------
    None
        At least every `POLL_SECONDS` or so.

    Raises
    ------
    UserError
        What the function raised of that kind, or that it failed or ran out of memory.
    """
    with ExitStack() as stack:
        try:
            temporary = TemporaryDirectory(
                prefix="napari-dacapo-tasks-", ignore_cleanup_errors=True
            )
            folder = Path(stack.enter_context(temporary))
            call = {"module": function.__module__, "name": function.__name__, "settings": settings}
            (folder / _CALL).write_text(json.dumps(call), encoding="utf-8")
            yield from _write(array, folder / _ARGUMENT)
        except OSError as error:
            raise DataError(
                f"{array.nbytes / 1e6:.1f} MB cannot be written to a temporary folder "
                f"({error.strerror}): free that space, or name another folder in the environment "
                "variable TMPDIR."
            ) from None
        process = _start(folder)
        try:
            while process.poll() is None:
                yield
                try:
                    process.wait(POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        if process.returncode:
            raise _failure(folder, process.returncode)
        result: NDArray[Any] = np.load(folder / _RESULT)
        return result


def _write(array: NDArray[Any], path: Path) -> Generator[None, None, None]:
    """Save an array as NumPy does, one item of its first axis after the other."""
    with path.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(file, {**header, "fortran_order": False})
        for values in array:
            yield
            file.write(np.ascontiguousarray(values).tobytes())


def _start(folder: Path) -> subprocess.Popen[bytes]:
    if not sys.executable:
        raise UserError(
            "This program does not say where its Python interpreter is, so nothing can be "
            "computed in a process of its own: run it from an installed Python."
        )
    places = os.pathsep.join(place for place in sys.path if place)
    with (folder / _SAID).open("wb") as said:
        return subprocess.Popen(
            # Without the current folder, in which any file may lie.
            [sys.executable, "-P", "-m", __name__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "PYTHONPATH": places},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )


def _failure(folder: Path, code: int) -> UserError:
    """Say in one sentence why the process failed."""
    if (folder / _REFUSAL).exists():
        refusal = json.loads((folder / _REFUSAL).read_text(encoding="utf-8"))
        kind: type[UserError] = getattr(errors, refusal["kind"])
        assert issubclass(kind, UserError), f"{kind} is not for people"
        return kind(refusal["sentence"])
    said = (folder / _SAID).read_text(encoding="utf-8", errors="replace")
    name = json.loads((folder / _CALL).read_text(encoding="utf-8"))["name"].replace("_", " ")
    killed = sys.platform != "win32" and code == -signal.SIGKILL
    if killed or any(phrase in said for phrase in _OUT_OF_MEMORY):
        return DataError(
            f"The {name} ran out of memory and was stopped: choose a smaller region, or close "
            "other programs."
        )
    last = (said.strip().splitlines() or [f"exit code {code}"])[-1].strip()
    return UserError(f"The {name} failed ({last}): please report it with its parameters.")


def _give_way() -> None:
    """Let the window go first, and go first where memory is short."""
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _end_with_parent() -> None:
    """End when the parent ends, however it does (on Linux; elsewhere when the work is done).

    The parent holds the other end of the pipe. When that closes a signal comes, and one that
    nobody handles ends a process at once. A thread of Python's could not see to it while the
    interpreter lock is held.
    """
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)


def _main(folder: Path) -> int:
    _give_way()
    _end_with_parent()
    call = json.loads((folder / _CALL).read_text(encoding="utf-8"))
    function = getattr(import_module(call["module"]), call["name"])
    try:
        result = function(np.load(folder / _ARGUMENT, mmap_mode="r"), **call["settings"])
        np.save(folder / _RESULT, result)
    except UserError as error:
        refusal = {"kind": type(error).__name__, "sentence": str(error)}
        (folder / _REFUSAL).write_text(json.dumps(refusal), encoding="utf-8")
        return 1
    except BaseException:  # PyO3's panics are no Exception
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    # At once: freeing what is many GB, object by object, takes as long as a part of the work.
    code = _main(Path(sys.argv[1]))
    sys.stderr.flush()
    os._exit(code)
