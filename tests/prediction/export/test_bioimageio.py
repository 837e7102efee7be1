"""Packages for bioimage.io, checked by bioimageio.spec and bioimageio.core."""

from __future__ import annotations

import socket
import sys
import zipfile

import numpy as np
import pytest
import yaml

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.prediction.export import PackageDetails, export_bioimageio
from napari_dacapo_tasks.runs.intensity import normalised

pytest.importorskip("bioimageio.spec", reason="bioimageio.spec is not installed")


def _works() -> bool:
    """Whether bioimageio.spec can check a file with the pydantic that is installed."""
    from napari_dacapo_tasks.prediction.export.package_zip import works_here

    return works_here()


needs_checks = pytest.mark.skipif(
    not _works(), reason="bioimageio.spec does not work with the pydantic that is installed"
)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Fail where anybody is asked for anything."""

    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def raw():
    values = np.random.default_rng(1).integers(0, 255, (40, 50, 60), np.uint8)
    return Array(values, axes="zyx", voxel_size=(40, 8, 8))


def content_of(path):
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        return yaml.safe_load(package.read("bioimageio.yaml"))


def test_array(path, name):
    with zipfile.ZipFile(path) as package, package.open(name) as file:
        return np.load(file)


test_array.__test__ = False


@needs_checks
@pytest.mark.parametrize(
    ("task", "net"),
    [
        ("affinities", "anisotropic"),
        ("hot", "same"),
        ("descriptors", "finer"),
        ("distance", "colours"),
    ],
)
def test_bioimageio_reproduces_it_at_any_size(task, net, trained, finish, tmp_path):
    core = pytest.importorskip("bioimageio.core", reason="bioimageio.core is not installed")
    made = finish(export_bioimageio(trained(task, net), tmp_path / "net.zip"))
    summary = core.test_model(made.path)
    flaws = [(one.name, one.errors) for one in summary.details if one.status != "passed"]
    assert summary.status == "passed", flaws


@needs_checks
class TestPackage:
    def test_says_where_the_answer_lies(self, trained, finish, tmp_path):
        ours = trained(net="finer")
        content = content_of(finish(export_bioimageio(ours, tmp_path / "net.zip")).path)
        raw_axes, answer_axes = content["inputs"][0]["axes"], content["outputs"][0]["axes"]
        assert [axis.get("id") for axis in raw_axes] == [None, None, "z", "y", "x"]
        assert [axis["scale"] for axis in raw_axes[2:]] == [40, 8, 8]
        assert [axis["scale"] for axis in answer_axes[2:]] == [20, 4, 4]
        assert {axis["unit"] for axis in raw_axes[2:]} == {"nanometer"}
        offset = -ours.architecture.context[0]
        assert answer_axes[2]["size"] == {"tensor_id": "raw", "axis_id": "z", "offset": offset}
        names = ours.task.task_type(ours.task).channels
        assert answer_axes[1]["channel_names"] == names

    def test_padding_is_a_halo(self, trained, finish, tmp_path):
        content = content_of(
            finish(export_bioimageio(trained(net="same"), tmp_path / "n.zip")).path
        )
        size, answer = content["inputs"][0]["axes"][2]["size"], content["outputs"][0]["axes"][2]
        assert answer["halo"] > 0
        assert size["min"] > 2 * answer["halo"]

    def test_data_without_a_unit_has_none(self, trained, finish, tmp_path):
        ours = trained(voxel_size=(1.0, 1.0, 1.0), unit="voxels")
        content = content_of(finish(export_bioimageio(ours, tmp_path / "net.zip")).path)
        assert all("unit" not in axis for axis in content["inputs"][0]["axes"])

    def test_shows_the_middle_of_raw_data(self, trained, finish, answer_of, raw, tmp_path):
        ours = trained()
        path = finish(export_bioimageio(ours, tmp_path / "net.zip", raw)).path
        shown = test_array(path, "test_input.npy")
        begin = [(n - m) // 2 for n, m in zip((40, 50, 60), shown.shape[2:], strict=True)]
        middle = tuple(slice(b, b + n) for b, n in zip(begin, shown.shape[2:], strict=True))
        np.testing.assert_array_equal(shown[0, 0], raw.data[middle])
        wanted = answer_of(ours.build(), normalised(shown, ours.intensity_range))
        np.testing.assert_allclose(test_array(path, "test_output.npy"), wanted, atol=1e-6)

    def test_a_small_image_is_mirrored(self, trained, finish, tmp_path):
        small = np.random.default_rng(1).integers(0, 255, (8, 9, 10), np.uint8)
        raw = Array(small, axes="zyx", voxel_size=(40, 8, 8))
        path = finish(export_bioimageio(trained(), tmp_path / "net.zip", raw)).path
        np.testing.assert_array_equal(test_array(path, "test_input.npy")[0, 0, :8, :9, :10], small)

    def test_carries_what_a_person_says(self, trained, finish, tmp_path):
        details = PackageDetails(
            name="Mitochondria, 8 nm",
            description="Finds mitochondria.",
            authors=("A. Person", "B. Person"),
            license="CC-BY-4.0",
            citation="Person et al., https://doi.org/10.1234/abc.5",
        )
        made = finish(export_bioimageio(trained(), tmp_path / "net.zip", details=details))
        content = content_of(made.path)
        assert content["name"] == "Mitochondria_ 8 nm"
        assert content["description"] == "Finds mitochondria."
        assert [author["name"] for author in content["authors"]] == ["A. Person", "B. Person"]
        assert content["license"] == "CC-BY-4.0"
        assert content["cite"][0]["doi"] == "10.1234/abc.5"
        assert not any("to publish" in notice for notice in made.notices)

    def test_no_address_is_looked_up(self, trained, finish, tmp_path):
        details = PackageDetails(citation="See https://somewhere.org/paper.")
        content = content_of(
            finish(export_bioimageio(trained(), tmp_path / "net.zip", details=details)).path
        )
        assert content["cite"][0]["url"] == "https://somewhere.org/paper"

    def test_what_the_collection_misses_is_said(self, trained, finish, tmp_path):
        made = finish(export_bioimageio(trained(), tmp_path / "net.zip"))
        assert any("authors, a licence, a citation" in notice for notice in made.notices)
        assert any("noise" in notice for notice in made.notices)

    def test_a_short_name_is_made_longer(self, trained, finish, tmp_path):
        path = finish(export_bioimageio(trained(name="a"), tmp_path / "net.zip")).path
        assert content_of(path)["name"] == "a (network for mito_dist)"

    def test_an_unknown_licence_is_refused(self, trained, finish, tmp_path):
        details = PackageDetails(license="CC-BY-4")
        with pytest.raises(ConfigError, match=r"CC-BY-4 is not known; did you mean CC-BY-4\.0\?"):
            finish(export_bioimageio(trained(), tmp_path / "net.zip", details=details))
        assert list(tmp_path.iterdir()) == []

    def test_nothing_is_left_of_a_refused_package(self, trained, finish, monkeypatch, tmp_path):
        from napari_dacapo_tasks.prediction.export import package_zip

        values = package_zip.model_values
        spoilt = lambda *given: {**values(*given), "name": "?"}  # noqa: E731
        monkeypatch.setattr(package_zip, "model_values", spoilt)
        with pytest.raises(ConfigError, match=r"refuses the package: .*name"):
            finish(export_bioimageio(trained(), tmp_path / "net.zip"))
        assert list(tmp_path.iterdir()) == []


class TestRefused:
    def test_another_ending(self, trained, finish, tmp_path):
        with pytest.raises(ConfigError, match=r"must end in \.zip"):
            finish(export_bioimageio(trained(), tmp_path / "net.tar"))

    def test_a_name_in_use(self, trained, finish, tmp_path):
        (tmp_path / "net.zip").write_text("mine")
        with pytest.raises(DataError, match="exists already"):
            finish(export_bioimageio(trained(), tmp_path / "net.zip"))
        assert (tmp_path / "net.zip").read_text() == "mine"

    def test_raw_data_of_other_channels(self, trained, finish, raw, tmp_path):
        with pytest.raises(DataError, match="The raw data is 3D and the network 2D"):
            finish(export_bioimageio(trained(net="colours"), tmp_path / "net.zip", raw))
        colours = Array(np.zeros((3, 40, 40, 40), np.uint8), axes="czyx", voxel_size=(8, 8, 8))
        with pytest.raises(DataError, match="3 channels, but the network takes 1"):
            finish(export_bioimageio(trained(), tmp_path / "net.zip", colours))

    def test_without_bioimageio(self, trained, finish, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "bioimageio.spec", None)
        with pytest.raises(ConfigError, match=r"install napari-dacapo-tasks\[bioimageio\]"):
            finish(export_bioimageio(trained(), tmp_path / "net.zip"))

    def test_where_bioimageio_does_not_work(self, trained, finish, monkeypatch, tmp_path):
        from napari_dacapo_tasks.prediction.export import package_zip

        monkeypatch.setattr(package_zip, "works_here", lambda: False)
        with pytest.raises(ConfigError, match="does not work with pydantic"):
            finish(export_bioimageio(trained(), tmp_path / "net.zip"))
        assert list(tmp_path.iterdir()) == []


@needs_checks
def test_leaving_early_leaves_nothing(trained, tmp_path):
    steps = export_bioimageio(trained(), tmp_path / "net.zip")
    for _ in range(3):
        next(steps)
    steps.close()
    assert list(tmp_path.iterdir()) == []


class TestDetails:
    def test_a_citation_leads_somewhere(self):
        with pytest.raises(ValueError, match="needs a DOI"):
            PackageDetails(citation="Person et al., 2024")

    @pytest.mark.parametrize("name", ["", " ", "a/b"])
    def test_authors_have_names(self, name):
        with pytest.raises(ValueError, match="no name of an author"):
            PackageDetails(authors=(name,))
