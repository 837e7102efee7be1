"""Bring what a napari window needs on Linux: Qt's libraries, and a screen where there is none.

What is there already is left alone. What is missing is installed where apt-get or dnf is there
and allowed; otherwise one sentence names the packages.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys

DEBIAN_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-glx.so.0": "libxcb-glx0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
"""What Qt's xcb platform and OpenGL load, by library."""

SCREEN_PACKAGES = {"Xvfb": "xvfb", "xvfb-run": "xvfb", "xauth": "xauth"}
"""What draws without a screen, by command."""


def main() -> int:
    """Install what is missing; give an exit code."""
    if sys.platform != "linux":
        return 0
    libraries, commands = missing()
    if not libraries and not commands:
        return 0
    names = debian_names(libraries, commands)
    steps = install_steps(libraries, commands)
    if steps is None:
        print(sentence(names), file=sys.stderr)
        return 1
    print("Installing what a napari window needs:", *names, flush=True)
    said = ""
    for step in steps:
        done = subprocess.run(
            step,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        said += done.stdout
    # A failed update of some unrelated source does not matter where the install went well.
    if any(missing()):
        print(said, sentence(debian_names(*missing())), sep="\n", file=sys.stderr)
        return 1
    return 0


def missing() -> tuple[list[str], list[str]]:
    """Give the libraries that do not load, and the commands that are not there but needed."""
    libraries = [library for library in DEBIAN_PACKAGES if not _loads(library)]
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    wanted = () if screen else SCREEN_PACKAGES
    return libraries, [command for command in wanted if shutil.which(command) is None]


def debian_names(libraries: list[str], commands: list[str]) -> list[str]:
    """Give Debian's packages with these libraries and commands."""
    names = [DEBIAN_PACKAGES[library] for library in libraries]
    return list(dict.fromkeys([*names, *(SCREEN_PACKAGES[command] for command in commands)]))


def install_steps(libraries: list[str], commands: list[str]) -> list[list[str]] | None:
    """Give the commands that install these, or None where that is not allowed or not known."""
    rights = _rights()
    if rights is None:
        return None
    if shutil.which("apt-get"):
        # Wait for another installation (a new machine often starts with one), then go on.
        apt = [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
        apt += ["-o", "DPkg::Lock::Timeout=300"]
        names = debian_names(libraries, commands)
        return [[*apt, "update"], [*apt, "install", "--no-install-recommends", *names]]
    if shutil.which("dnf"):
        # RPM packages can be asked for by what they hold, whatever their name.
        bits = "()(64bit)" if sys.maxsize > 2**32 else ""
        held = [library + bits for library in libraries]
        held += [f"/usr/bin/{command}" for command in commands]
        return [[*rights, "dnf", "-q", "-y", "install", "mesa-dri-drivers", *held]]
    return None


def sentence(names: list[str]) -> str:
    """Say what to install by hand."""
    return (
        "A napari window needs packages of the system that are missing here and that I cannot "
        f"install, so please install them (on Debian or Ubuntu: apt-get install {' '.join(names)})"
        " and try again."
    )


def _rights() -> list[str] | None:
    """Give what to put before a command that only root may run; None where that is refused."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n"] if asked.returncode == 0 else None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
