"""The verb ``export``."""

from __future__ import annotations

import json

import pytest

from napari_dacapo_tasks.prediction.trained import open_trained


@pytest.fixture
def export(command, way, tmp_path):
    """Take the network elsewhere; code, result and what was said."""

    def run(name, *arguments):
        code, printed, said = command("export", way["run"], tmp_path / name, *arguments, "--json")
        return code, json.loads(printed) if printed else None, said

    return run


def test_to_dacapo_and_back(export, way, tmp_path):
    code, result, said = export("net", "--format", "dacapo")
    assert code == 0, said
    assert result["path"] == str(tmp_path / "net")
    assert result["iteration"] == 3
    ours, back = open_trained(way["run"]), open_trained(tmp_path / "net")
    assert back.task == ours.task
    assert back.intensity_range == ours.intensity_range
    assert all((back.weights[name] == tensor).all() for name, tensor in ours.weights.items())


def test_the_name_tells_the_format(export):
    code, result, said = export("net.pt")
    assert code == 0, said
    assert result["format"] == "torch"
    assert "raw values" in result["notices"][-1]


def test_to_bioimageio_and_back(export, way, tmp_path):
    pytest.importorskip("bioimageio.spec", reason="bioimageio.spec is not installed")
    from napari_dacapo_tasks.prediction.export.package_zip import works_here

    if not works_here():
        pytest.skip("bioimageio.spec does not work with the pydantic that is installed")
    arguments = ["--raw", way["raw"], "--author", "A. Person", "--license", "MIT"]
    code, result, said = export("net.zip", *arguments, "--cite", "10.1234/abc")
    assert code == 0, said
    assert result["notices"] == [open_trained(way["run"]).notices[0]]
    assert open_trained(tmp_path / "net.zip").task == open_trained(way["run"]).task


def test_for_people(command, way, tmp_path):
    code, printed, _ = command("export", way["run"], tmp_path / "net", "--format", "dacapo")
    assert code == 0
    assert printed.startswith(f"Wrote {tmp_path / 'net'}, the network after 3 steps.\n")


@pytest.mark.parametrize(
    ("name", "refused", "sentence"),
    [
        ("net.onnx", ["--format", "torch"], "must end in .pt2"),
        ("net.tar", ["--format", "bioimageio"], "must end in .zip"),
        ("net", ["--format", "dacapo", "--checkpoint", "2"], "no checkpoint of iteration 2"),
        ("net.zip", ["--cite", "A paper"], "needs a DOI"),
    ],
)
def test_refusals_are_one_sentence(export, tmp_path, name, refused, sentence):
    code, _, said = export(name, *refused)
    assert code == 1
    assert sentence in said
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ["net"],
        ["net", "--format", "onnx"],
        ["net.pt2", "--author", "A. Person"],
        ["net.zip", "--checkpoint", "newest"],
    ],
)
def test_wrong_usage_is_two(export, wrong):
    assert export(*wrong)[0] == 2


def test_a_name_in_use(export, tmp_path):
    (tmp_path / "net.pt").write_text("mine")
    code, _, said = export("net.pt")
    assert code == 1
    assert "exists already" in said
