import os
import subprocess
import sys

import pytest

MODULE = """
from napari_dacapo_tasks.numerics.compiled import compiled

@compiled("i8(i8)")
def double(value):
    return 2 * value
"""
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import loops
assert loops.double(21) == 42
print(sum(loops.double.stats.cache_hits.values()), loops.double._cache.__class__.__name__)
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that uses a compiled function in a new process."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "loops.py").write_text(MODULE)
    # A file where a folder should be cannot be written into, not even by root.
    (tmp_path / "file").write_text("")

    def start(package_writable: bool, home_writable: bool) -> str:
        if not package_writable:
            (tmp_path / "package" / "__pycache__").write_text("")
        home = str(tmp_path / ("home" if home_writable else "file"))
        places = {"HOME": home, "XDG_CACHE_HOME": home, "LOCALAPPDATA": home, "USERPROFILE": home}
        settings = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
        result = subprocess.run(
            [sys.executable, "-c", CODE, str(tmp_path / "package")],
            env={**settings, **places, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    return start


@pytest.mark.parametrize("package_writable", [True, False])
def test_loops_are_compiled_once_for_all_processes(run, package_writable):
    assert run(package_writable, home_writable=True).startswith("0 ")
    assert run(True, home_writable=True).startswith("1 ")


def test_loops_work_where_nothing_can_be_kept(run):
    assert "NullCache" in run(package_writable=False, home_writable=False)
