"""The package as it is installed: its imports, its version and its manifest."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_dacapo_tasks

NAME = "napari-dacapo-tasks"
ROOT = Path(__file__).parents[1]
MANIFEST = Path(napari_dacapo_tasks.__file__).with_name("napari.yaml")

QT_BINDINGS = {"PyQt5", "PyQt6", "PySide2", "PySide6"}
VIEWER = {"napari", "qtpy", "superqt", "magicgui", "vispy", "pyqtgraph"} | QT_BINDINGS


def imported_by(module: str) -> set[str]:
    """Give the top-level modules that importing one in a new interpreter brings."""
    code = (
        "import importlib, json, sys\n"
        "before = set(sys.modules)\n"
        f"importlib.import_module({module!r})\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_the_package_imports_nothing_but_itself() -> None:
    brought = imported_by("napari_dacapo_tasks") - set(sys.stdlib_module_names)
    assert brought == {"napari_dacapo_tasks"}


@pytest.mark.parametrize("module", ["tasks", "tasks.preview", "arrays", "samples", "cli"])
def test_core_imports_neither_torch_nor_a_viewer(module: str) -> None:
    brought = imported_by(f"napari_dacapo_tasks.{module}")
    assert "napari_dacapo_tasks" in brought
    assert not brought & ({"torch"} | VIEWER)


@pytest.mark.parametrize("module", ["architectures", "runs", "training"])
def test_training_imports_no_viewer(module: str) -> None:
    assert not imported_by(f"napari_dacapo_tasks.{module}") & VIEWER


def test_version_is_the_installed_one() -> None:
    assert napari_dacapo_tasks.__version__ == metadata.version(NAME)


def test_no_qt_binding_is_a_plain_dependency() -> None:
    plain = [line for line in metadata.requires(NAME) or [] if "extra ==" not in line]
    assert any(line.startswith("napari") for line in plain)
    assert not [line for line in plain if line.startswith(tuple(QT_BINDINGS)) or "[" in line]


def test_manifest_at_the_top_is_the_one_of_the_package() -> None:
    top = ROOT / "napari.yaml"
    if top.is_symlink():
        assert top.samefile(ROOT / "src" / "napari_dacapo_tasks" / "napari.yaml")
    elif len(top.read_text().splitlines()) == 1:  # git without symbolic links: Windows
        assert top.read_text().strip() == "src/napari_dacapo_tasks/napari.yaml"
    else:  # unpacked from an archive
        assert top.read_bytes() == MANIFEST.read_bytes()


def test_npe2_finds_the_manifest_of_the_distribution() -> None:
    manifest = PluginManifest.from_distribution(NAME)
    assert manifest.name == NAME
    assert manifest.display_name == "DaCapo Tasks"
    assert manifest.package_version == napari_dacapo_tasks.__version__
