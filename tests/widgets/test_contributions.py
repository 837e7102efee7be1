from pathlib import Path

import numpy as np
import pytest
import zarr
from napari.layers import Layer
from npe2 import PluginManager, PluginManifest
from npe2.manifest.utils import import_python_name

from napari_dacapo_tasks.widgets import contributions

FIB25 = Path(__file__).parents[2].parent / "shared" / "data" / "fib25.ome.zarr"


@pytest.fixture
def dacapo_container(tmp_path):
    path = tmp_path / "data.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    values = np.arange(10 * 12 * 14, dtype=np.uint8).reshape(10, 12, 14)
    for name, kind in (("volumes/raw", np.uint8), ("volumes/labels/neurons", np.uint64)):
        array = group.create_array(name, data=values.astype(kind))
        array.attrs.update(resolution=[40, 4, 4], offset=[80, 0, 8])
    affinities = group.create_array("affs", data=np.stack([values] * 3))
    affinities.attrs.update(voxel_size=[40, 4, 4], axis_names=["c^", "z", "y", "x"])
    return path


def layers(data):
    return {layer.name: layer for layer in (Layer.create(*item) for item in data)}


def test_the_reader_opens_dacapos_containers_in_place(dacapo_container):
    read = contributions.get_reader(str(dacapo_container))
    opened = layers(read(str(dacapo_container)))
    assert set(opened) == {"volumes/raw", "volumes/labels/neurons", "affs"}
    raw, neurons = opened["volumes/raw"], opened["volumes/labels/neurons"]
    assert (raw._type_string, neurons._type_string) == ("image", "labels")
    for layer in (raw, neurons):
        assert layer.scale.tolist() == [40, 4, 4]
        assert layer.translate.tolist() == [80, 0, 8]
        assert [str(unit) for unit in layer.units] == ["nanometer"] * 3
        assert layer.axis_labels == ("z", "y", "x")
    assert opened["affs"].data.shape == (3, 10, 12, 14)
    assert opened["affs"].scale.tolist() == [1, 40, 4, 4]


def test_one_array_of_a_container_opens_alone(dacapo_container):
    path = str(dacapo_container / "volumes" / "raw")
    assert set(layers(contributions.get_reader(path)(path))) == {"raw"}


def test_the_reader_leaves_other_things_alone(tmp_path):
    (tmp_path / "image.tif").write_bytes(b"II*")
    assert contributions.get_reader(str(tmp_path / "image.tif")) is None
    assert contributions.get_reader(str(tmp_path)) is None
    assert contributions.get_reader([str(tmp_path)]) is None


@pytest.mark.skipif(not FIB25.exists(), reason="the real volumes are not beside the checkout")
def test_the_reader_opens_a_real_ome_zarr():
    opened = layers(contributions.get_reader(str(FIB25))(str(FIB25)))
    assert [layer._type_string for layer in opened.values()] == ["image", "labels"]
    assert {layer.data.shape for layer in opened.values()} == {(160, 250, 250)}


@pytest.mark.parametrize(("make", "dims"), [("sample_3d", 3), ("sample_2d", 2)])
def test_samples_open_as_layers_with_units(make, dims):
    opened = layers(getattr(contributions, make)())
    assert list(opened) == ["raw", "cells", "organelles"]
    for layer in opened.values():
        assert layer.ndim == dims
        assert layer.scale.tolist() == [8] * dims
        assert {str(unit) for unit in layer.units} == {"nanometer"}


def test_every_command_of_the_manifest_can_be_imported():
    manifest = PluginManifest.from_distribution("napari-dacapo-tasks")
    for command in manifest.contributions.commands:
        assert callable(import_python_name(command.python_name)), command.id
    assert {w.display_name for w in manifest.contributions.widgets} == {"Task", "Train", "Predict"}


def test_napari_finds_reader_and_samples(dacapo_container):
    manager = PluginManager.instance()
    manager.discover()
    readers = list(manager.iter_compatible_readers([str(dacapo_container)]))
    assert "napari-dacapo-tasks" in {reader.plugin_name for reader in readers}
    samples = dict(manager.iter_sample_data())
    assert len(samples["napari-dacapo-tasks"]) == 2
