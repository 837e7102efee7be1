"""What a machine lacks for a napari window is installed where that is allowed, else named."""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Only Linux needs packages.")

SCRIPT = Path(__file__).parents[2] / "scripts" / "system_packages.py"

Stub = Callable[[str, str], None]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("system_packages", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """Write commands into the only folder on the PATH; nobody is root, and no screen is there."""
    commands = tmp_path / "bin"
    commands.mkdir()
    monkeypatch.setenv("PATH", str(commands))
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def write(name: str, body: str) -> None:
        path = commands / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    return write


@pytest.fixture
def installed(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Say that libGL loads once this file is there, and not before."""
    marker = tmp_path / "installed"
    monkeypatch.setattr(script, "_loads", lambda name: marker.exists() or name != "libGL.so.1")
    return marker


def test_a_machine_that_has_all_is_left_alone(
    script: ModuleType,
    stub: Stub,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(script, "_loads", lambda name: True)
    for command in script.SCREEN_PACKAGES:
        stub(command, "exit 1")
    stub("apt-get", "echo must not run; exit 1")
    stub("sudo", "echo must not run; exit 1")
    assert script.main() == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("sudo", [None, "exit 1"], ids=["no sudo", "sudo wants a password"])
def test_without_the_right_to_install_one_sentence_names_the_packages(
    script: ModuleType,
    stub: Stub,
    installed: Path,
    capfd: pytest.CaptureFixture[str],
    sudo: str | None,
) -> None:
    stub("apt-get", f"touch {installed}")
    if sudo:
        stub("sudo", sudo)
    assert script.main() == 1
    assert not installed.exists()
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "apt-get install libgl1 xvfb xauth)" in said.err


def test_another_package_manager_gets_the_sentence_too(
    script: ModuleType, stub: Stub, installed: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stub("sudo", "exit 0")
    assert script.main() == 1
    assert "libgl1 xvfb xauth" in capfd.readouterr().err


def test_sudo_without_a_password_installs_what_is_missing(
    script: ModuleType, stub: Stub, installed: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stub("sudo", 'test "$1" = -n && shift && exec "$@"')
    stub("true", "exit 0")
    stub("env", 'shift; exec "$@"')
    # An update that fails must not end it: one broken source is common.
    record = f'echo "$*" >> {installed}.calls'
    finish = f'case "$*" in *install*) : > {installed};; *) exit 100;; esac'
    stub("apt-get", f"{record}\n{finish}")
    for command in script.SCREEN_PACKAGES:
        stub(command, "exit 0")
    assert script.main() == 0
    update, install = Path(f"{installed}.calls").read_text().splitlines()
    assert update.endswith(" update")
    assert install.endswith(" install --no-install-recommends libgl1")
    assert capfd.readouterr().err == ""


def test_an_installation_that_fails_shows_what_was_said(
    script: ModuleType,
    stub: Stub,
    installed: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    stub("env", 'shift; exec "$@"')
    stub("apt-get", "echo E: Unable to locate package; exit 100")
    assert script.main() == 1
    said = capfd.readouterr().err
    assert "E: Unable to locate package" in said
    assert "libgl1 xvfb xauth" in said


def test_a_machine_with_a_screen_needs_no_other(
    script: ModuleType, stub: Stub, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert script.missing() == (["libGL.so.1"], ["Xvfb", "xvfb-run", "xauth"])
    monkeypatch.setenv("DISPLAY", ":0")
    assert script.missing() == (["libGL.so.1"], [])


def test_rpm_packages_are_asked_for_by_what_they_hold(
    script: ModuleType, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    stub("dnf", "exit 0")
    (step,) = script.install_steps(["libGL.so.1"], ["Xvfb"])
    assert step[0] == "dnf"
    assert step[-2:] == ["libGL.so.1()(64bit)", "/usr/bin/Xvfb"]
