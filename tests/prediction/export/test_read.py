"""Trained networks back from what was written, and files that are none."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
import yaml

from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.prediction.export import (
    export,
    export_dacapo,
    is_exported,
    read_description,
    read_exported,
)
from napari_dacapo_tasks.prediction.trained import describe_trained, open_trained


@pytest.fixture
def folder(trained, finish, tmp_path):
    """Give an exported network as a folder."""
    return finish(export_dacapo(trained(), tmp_path / "net")).path


@pytest.fixture(params=["folder", "zip"])
def packed(request, folder, tmp_path):
    """Make what reads of a folder with some files changed: the folder, or a zip of it."""

    def pack(**changed):
        for name, content in changed.items():
            (folder / NAMES[name]).write_bytes(content)
        if request.param == "folder":
            return folder
        return zipped(folder, tmp_path / "net.zip")

    return pack


NAMES = {"description": "napari_dacapo_tasks.yaml", "weights": "weights.pt"}


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as package:
        for file in folder.iterdir():
            package.write(file, file.name)
    return path


def described(folder, **changes):
    """Give the description of an exported network with some values changed."""
    values = yaml.safe_load((folder / NAMES["description"]).read_text())
    return yaml.safe_dump({**values, **changes}).encode()


class Bomb:
    """Writes a file where somebody unpickles it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    ("task", "net"),
    [("distance", "thirds"), ("descriptors", "anisotropic"), ("classes", "same")],
)
def test_it_is_the_same_network(task, net, trained, finish, answer_of, tmp_path):
    ours = trained(task, net)
    path = finish(export_dacapo(ours, tmp_path / "net")).path
    back = open_trained(path)
    names = ("name", "task", "architecture", "intensity_range", "voxel_size", "unit", "iteration")
    assert {name: getattr(back, name) for name in names} == {
        name: getattr(ours, name) for name in names
    }
    shape = (1, ours.architecture.fmaps_in, *ours.architecture.input_shape)
    raw = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    np.testing.assert_array_equal(answer_of(back.build(), raw), answer_of(ours.build(), raw))


def test_from_a_zip_and_a_folder(packed, trained):
    path = packed()
    assert is_exported(path)
    assert read_description(path).task == trained().task
    assert read_exported(path).weights.keys() == trained().weights.keys()
    assert describe_trained(path).iteration == 300


def test_what_others_may_not_know_yet(packed, folder):
    path = packed(description=described(folder, voxel_size=[], unit="voxels"))
    assert read_exported(path).voxel_size == ()


class TestCode:
    def test_is_never_run(self, packed, tmp_path):
        content = io.BytesIO()
        torch.save({"model": Bomb(tmp_path / "ran")}, content)
        with pytest.raises(DataError, match="could run code"):
            read_exported(packed(weights=content.getvalue()))
        assert not (tmp_path / "ran").exists()

    def test_is_never_run_from_a_description(self, packed, tmp_path):
        text = f"!!python/object/apply:builtins.open ['{tmp_path / 'ran'}', 'w']"
        with pytest.raises(ConfigError, match="no valid YAML of plain values"):
            read_exported(packed(description=text.encode()))
        assert not (tmp_path / "ran").exists()

    def test_nothing_is_unpacked_elsewhere(self, folder, tmp_path):
        path = zipped(folder, tmp_path / "net.zip")
        with zipfile.ZipFile(path, "a") as package:
            package.writestr("../../outside.txt", "outside")
        before = sorted(tmp_path.parent.rglob("*"))
        read_exported(path)
        assert sorted(tmp_path.parent.rglob("*")) == before


class TestDamaged:
    def test_weights(self, packed, folder):
        half = (folder / "weights.pt").read_bytes()[:500]
        with pytest.raises(DataError, match="no whole checkpoint of PyTorch") as refused:
            read_exported(packed(weights=half))
        assert "/tmp/tmp" not in str(refused.value)

    def test_no_weights(self, packed, folder):
        (folder / "weights.pt").unlink()
        with pytest.raises(DataError, match=r"weights\.pt"):
            read_exported(packed())

    def test_a_zip_that_was_cut_short(self, folder, tmp_path):
        path = zipped(folder, tmp_path / "net.zip")
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(DataError, match="choose a package"):
            read_exported(path)

    def test_a_zip_with_a_wrong_byte(self, folder, tmp_path):
        path = zipped(folder, tmp_path / "net.zip")
        with zipfile.ZipFile(path) as package:
            place = package.getinfo("weights.pt").header_offset + 200
        content = bytearray(path.read_bytes())
        content[place] ^= 0xFF
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged or incomplete"):
            read_exported(path)

    def test_weights_that_are_not_finite(self, packed, folder):
        content = torch.load(folder / "weights.pt", weights_only=True)
        next(iter(content["model"].values())).fill_(torch.nan)
        stored = io.BytesIO()
        torch.save(content, stored)
        with pytest.raises(DataError, match="NaN or infinite"):
            read_exported(packed(weights=stored.getvalue()))


class TestDescription:
    def test_of_a_later_version(self, packed, folder):
        with pytest.raises(ConfigError, match="of the format 2, which this version does not know"):
            read_exported(packed(description=described(folder, format=2)))

    def test_a_misspelt_field(self, packed, folder):
        with pytest.raises(ConfigError, match="did you mean iteration"):
            read_exported(packed(description=described(folder, iterations=3)))

    def test_an_unknown_task(self, packed, folder):
        task = {"__type__": "OtherTaskConfig", "name": "other"}
        with pytest.raises(ConfigError, match="OtherTaskConfig"):
            read_exported(packed(description=described(folder, task=task)))

    def test_of_another_network(self, packed, folder, trained):
        values = trained(net="anisotropic").architecture.model_dump(mode="json")
        other = {"__type__": "CNNectomeUNetConfig", **values}
        with pytest.raises(ConfigError, match="the weights of another network"):
            read_exported(packed(description=described(folder, architecture=other)))

    @pytest.mark.parametrize("content", [b"[1, 2]", b"", b"\xff\xfe\x00"])
    def test_that_is_none(self, packed, content):
        with pytest.raises((ConfigError, DataError), match=r"napari_dacapo_tasks\.yaml"):
            read_exported(packed(description=content))

    def test_far_too_large(self, packed):
        with pytest.raises(DataError, match="far too large"):
            read_exported(packed(description=b"#" * (5 << 20)))


class TestOthers:
    def test_nothing_there(self, tmp_path):
        assert not is_exported(tmp_path / "gone")
        with pytest.raises(DataError, match="There is nothing at"):
            read_exported(tmp_path / "gone")

    def test_another_folder(self, tmp_path):
        assert not is_exported(tmp_path)
        with pytest.raises(DataError, match="no exported network"):
            read_exported(tmp_path)

    def test_another_file(self, tmp_path):
        (tmp_path / "text.zip").write_text("text")
        assert not is_exported(tmp_path / "text.zip")
        with pytest.raises(DataError, match="no exported network"):
            read_exported(tmp_path / "text.zip")

    def test_another_zip(self, folder, tmp_path):
        (folder / NAMES["description"]).unlink()
        path = zipped(folder, tmp_path / "net.zip")
        with pytest.raises(DataError, match="does not say which task and network"):
            read_exported(path)

    def test_a_program_of_pytorch(self, trained, tmp_path):
        chain = trained().build().chain
        program = torch.jit.trace(chain, torch.zeros(1, 1, 24, 24, 24), check_trace=False)
        torch.jit.save(program, tmp_path / "net.pt")
        assert not is_exported(tmp_path / "net.pt")
        with pytest.raises(DataError, match="does not say which task and network"):
            read_exported(tmp_path / "net.pt")


@pytest.mark.parametrize("name", ["net.pt", "net.pt2"])
def test_a_program_of_pytorch_reads_back(name, trained, finish, tmp_path, monkeypatch):
    ours = trained("descriptors")
    path = finish(export(ours, tmp_path / name, "torch")).path
    for module in (torch.jit, torch.export):
        monkeypatch.setattr(module, "load", None)  # which would run what stands in the file
    assert is_exported(path)
    assert read_description(path).task == ours.task
    found = open_trained(path)
    assert found.intensity_range == ours.intensity_range
    assert {name: list(values.shape) for name, values in found.weights.items()} == {
        name: list(values.shape) for name, values in ours.weights.items()
    }
    for key, values in ours.weights.items():
        torch.testing.assert_close(found.weights[key], values, rtol=0, atol=0)


def test_an_unpacked_package_reads_the_same(folder, trained, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert read_exported(tmp_path / "copy").task == trained().task


def test_importing_it_imports_neither_torch_nor_bioimageio():
    code = (
        "import sys\n"
        "import napari_dacapo_tasks.prediction.export\n"
        "print(sorted({'torch', 'bioimageio', 'napari'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
