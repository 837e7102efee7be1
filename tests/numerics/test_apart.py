import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_dacapo_tasks.errors import ConfigError, DataError, UserError
from napari_dacapo_tasks.numerics import apart
from napari_dacapo_tasks.numerics.apart import call_apart

FUNCTIONS = """
import os, signal, sys, time
import numpy as np
from napari_dacapo_tasks.errors import ConfigError

def scale(array, factor, pairs):
    return array * factor + len(pairs[0])

def say_who(array):
    return np.array([os.getpid(), "numba" in sys.modules or "scipy" in sys.modules])

def hold_the_lock(array, path):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    while True:
        sorted(range(1_000_000))

def sleep(array, seconds):
    time.sleep(seconds)
    return array

def refuse(array):
    raise ConfigError("Three is too much: give two.")

def fail(array):
    raise ValueError("no such thing")

def abort(array):
    os.abort()

def exit_at_once(array, code):
    os._exit(code)

def want_too_much(array):
    return np.ones(1 << 46)

def be_killed(array):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    """Give a module that a new interpreter finds, too."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "functions_apart.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(folder)
    import functions_apart

    yield functions_apart
    del sys.modules["functions_apart"]


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Give the folder where temporary ones are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def finish(steps):
    turns = 0
    while True:
        try:
            next(steps)
            turns += 1
        except StopIteration as end:
            return end.value, turns


def ends(pid):
    """Wait until a process has ended."""
    try:
        psutil.Process(pid).wait(300)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        np.asfortranarray(np.arange(24).reshape(2, 3, 4)),
        np.arange(48, dtype=np.uint8).reshape(2, 3, 8)[:, :, ::2],
        np.ones((2, 0, 3)),
        np.ones((0, 3)),
        np.array([True, False]),
    ],
    ids=["float32", "Fortran's order", "every other", "no values", "no items", "bool"],
)
def test_arrays_and_settings_go_and_come(functions, array):
    result, _ = finish(call_apart(functions.scale, array, factor=3, pairs=[(1, 2), (3, 4)]))
    np.testing.assert_array_equal(result, array * 3 + 2)
    assert result.dtype == (array * 3 + 2).dtype


def test_it_is_another_process_that_imports_little(functions):
    result, _ = finish(call_apart(functions.say_who, np.zeros(1)))
    assert result[0] != os.getpid()
    assert not result[1]


def test_it_keeps_turning_while_the_other_works(functions):
    _, turns = finish(call_apart(functions.sleep, np.zeros(1), seconds=1))
    assert turns >= 5


def test_the_lock_is_left_to_others_and_leaving_ends_the_process(functions, tmp_path, temporary):
    path = tmp_path / "pid"
    steps = call_apart(functions.hold_the_lock, np.zeros(1), path=str(path))
    turns = 0
    for _ in steps:
        turns += path.exists() and path.read_text() != ""
        if turns == 10:
            break
    pid = int(path.read_text())
    assert psutil.pid_exists(pid)
    assert len(list(temporary.iterdir())) == 1
    steps.close()
    assert ends(pid)


def test_a_forgotten_generator_ends_it_too(functions, tmp_path):
    path = tmp_path / "pid"
    steps = call_apart(functions.hold_the_lock, np.zeros(1), path=str(path))
    while not (path.exists() and path.read_text()):
        next(steps)
    del steps
    assert ends(int(path.read_text()))


def test_leaving_while_the_array_is_written_starts_nothing(functions, monkeypatch):
    monkeypatch.setattr(apart, "_start", lambda folder: pytest.fail("started"))
    steps = call_apart(functions.scale, np.zeros((5, 3)), factor=1, pairs=[()])
    next(steps)
    steps.close()


def test_what_the_function_refuses_is_refused_here(functions):
    with pytest.raises(ConfigError, match=r"^Three is too much: give two\.$"):
        finish(call_apart(functions.refuse, np.zeros(1)))


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("fail", {}, r"ValueError: no such thing"),
        ("exit_at_once", {"code": 3}, r"exit code 3"),
        ("abort", {}, r""),
    ],
)
def test_a_failure_is_one_sentence(functions, name, settings, reason):
    with pytest.raises(UserError, match=rf"^The {name.replace('_', ' ')} failed \(.*{reason}"):
        finish(call_apart(getattr(functions, name), np.zeros(1), **settings))


def test_out_of_memory_says_what_to_do(functions):
    with pytest.raises(DataError, match=r"want too much ran out of memory .* smaller region"):
        finish(call_apart(functions.want_too_much, np.zeros(1)))


@pytest.mark.skipif(sys.platform == "win32", reason="no process is killed by a signal there")
def test_what_the_system_kills_was_out_of_memory(functions):
    with pytest.raises(DataError, match="ran out of memory"):
        finish(call_apart(functions.be_killed, np.zeros(1)))


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limit of size there")
def test_a_full_disk_is_one_sentence(functions):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(DataError, match=r"^16\.0 MB cannot be written .*TMPDIR\.$"):
            finish(call_apart(functions.scale, np.zeros((2, 1_000_000)), factor=1, pairs=[()]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_no_temporary_folder_is_one_sentence(functions, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="cannot be written to a temporary folder"):
        finish(call_apart(functions.scale, np.zeros(1), factor=1, pairs=[()]))


def test_without_an_interpreter_it_says_so(functions, monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(UserError, match="where its Python interpreter is"):
        finish(call_apart(functions.scale, np.zeros(1), factor=1, pairs=[()]))


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
print("begun", flush=True)
import functions_apart
import numpy as np
from napari_dacapo_tasks.numerics.apart import call_apart
for _ in call_apart(getattr(functions_apart, sys.argv[2]), np.zeros(1), **eval(sys.argv[3])):
    pass
print("done", flush=True)
"""


@pytest.fixture
def script(tmp_path, functions):
    """Give the command of a script without a guard around what it does."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return [sys.executable, str(path), str(Path(functions.__file__).parent)]


def test_an_unguarded_script_is_not_run_again(script):
    done = subprocess.run(
        [*script, "sleep", "{'seconds': 0}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["begun", "done"]


def test_files_in_the_current_folder_are_not_imported(script, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "json.py").write_text("raise SystemExit('not this one')")
    done = subprocess.run(
        [*script, "sleep", "{'seconds': 0}"], cwd=elsewhere, capture_output=True, text=True
    )
    assert done.stdout.split() == ["begun", "done"], done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends when its work is done")
def test_it_ends_with_a_parent_that_is_killed(script, tmp_path):
    path, own = tmp_path / "pid", tmp_path / "own"
    own.mkdir()  # what a killed process leaves, nobody removes
    parent = subprocess.Popen(
        [*script, "hold_the_lock", repr({"path": str(path)})],
        env={**os.environ, "TMPDIR": str(own)},
    )
    while not (path.exists() and path.read_text()):
        assert parent.poll() is None
        time.sleep(0.01)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert ends(int(path.read_text()))


def test_several_threads_may_call(functions):
    results = {}

    def call(factor):
        results[factor], _ = finish(
            call_apart(functions.scale, np.ones(3), factor=factor, pairs=[()])
        )

    threads = [threading.Thread(target=call, args=(factor,)) for factor in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {factor: result.tolist() for factor, result in results.items()} == {
        factor: [factor] * 3 for factor in range(3)
    }
