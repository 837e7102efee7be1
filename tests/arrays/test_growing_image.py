"""Images that fill block by block: nothing half, nothing lost, readable at every moment."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from funlib.geometry import Coordinate, Roi
from hypothesis import given
from hypothesis import strategies as st

from napari_dacapo_tasks.arrays import growing_layout
from napari_dacapo_tasks.arrays.growing_image import (
    DataTakenError,
    DiskFullError,
    GrowingImage,
    is_growing,
    state_of,
    stored_attrs,
)
from napari_dacapo_tasks.arrays.open import images_at, open_array
from napari_dacapo_tasks.arrays.pyramid import COARSEST, coarse, levels_of
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import NANOMETRE, VOXEL

SIZE = Coordinate(40, 8, 8)
SHAPE = (21, 30, 33)
BLOCK = (8, 16, 16)


def create(path: Path, shape: tuple[int, ...] = SHAPE, **changes: Any) -> GrowingImage:
    values: dict[str, Any] = {
        "roi": Roi((80, 16, 0), Coordinate(shape) * SIZE),
        "voxel_size": SIZE,
        "unit": NANOMETRE,
        "axes": ("z", "y", "x"),
        "num_channels": 2,
        "dtype": np.float32,
        "name": "affinities",
        "block_shape": BLOCK,
    }
    return GrowingImage.create(path, **{**values, **changes})


def values_of(image: GrowingImage, seed: int = 0) -> np.ndarray:
    channels = image.array.num_channels
    lead = () if channels is None else (channels,)
    values = np.random.default_rng(seed).integers(1, 200, (*lead, *image.array.shape))
    return values.astype(image.array.dtype)


def fill(image: GrowingImage, values: np.ndarray, indices: Any = None) -> None:
    for index in image.missing if indices is None else indices:
        roi = image.block(index)
        begin = (roi.begin - image.roi.begin) / image.voxel_size
        end = (roi.end - image.roi.begin) / image.voxel_size
        image.write(roi, values[(..., *map(slice, begin, end))])


@pytest.fixture(params=[False, True], ids=["0.4", "0.5"])
def sharded(request: Any) -> bool:
    return request.param


class TestFilling:
    def test_it_is_zero_until_it_is_written(self, tmp_path: Path, sharded: bool) -> None:
        image = create(tmp_path / "out.zarr", sharded=sharded)
        assert image.grid == (3, 2, 3)
        values = values_of(image)
        fill(image, values, [(0, 0, 0), (2, 1, 2)])
        there = open_array(tmp_path / "out.zarr")
        assert there.roi == image.roi
        assert (there.voxel_size, there.unit, there.axes) == (SIZE, NANOMETRE, ("c", "z", "y", "x"))
        expected = np.zeros_like(values)
        for place in (
            (slice(8), slice(16), slice(16)),
            (slice(16, 21), slice(16, 30), slice(32, 33)),
        ):
            expected[(..., *place)] = values[(..., *place)]
        np.testing.assert_array_equal(there[there.roi], expected)
        assert image.done == {(0, 0, 0), (2, 1, 2)}
        assert len(image.missing) == prod(image.grid) - 2
        assert image.is_done((0, 0, 0))
        assert not image.is_done((0, 0, 1))

    def test_blocks_share_no_file(self, tmp_path: Path, sharded: bool) -> None:
        image = create(tmp_path / "out.zarr", sharded=sharded)
        values = values_of(image)
        seen: set[Path] = set()
        for index in image.indices():
            fill(image, values, [index])
            files = {p for p in (tmp_path / "out.zarr/0").rglob("*") if p.is_file()}
            new = {path: path.stat().st_mtime_ns for path in files - seen}
            assert new
            seen |= files
            fill(image, values, [index])
            assert all(path.exists() for path in new)
        assert {p for p in (tmp_path / "out.zarr/0").rglob("*") if p.is_file()} == seen

    def test_many_threads_and_whole_at_the_end(self, tmp_path: Path, sharded: bool) -> None:
        image = create(tmp_path / "out.zarr", sharded=sharded, attrs={"task": {"name": "a"}})
        values = values_of(image)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda index: fill(image, values, [index]), image.indices()))
        assert is_growing(image.path)
        assert not image.is_finished
        list(image.finish())
        assert image.is_finished
        assert not state_of(image.path).exists()
        there = open_array(image.path)
        np.testing.assert_array_equal(there[there.roi], values)
        assert stored_attrs(image.path) == {"task": {"name": "a"}}
        assert image.missing == []
        assert list(image.finish()) == []

    def test_several_blocks_at_once(self, tmp_path: Path) -> None:
        image = create(tmp_path / "out.zarr")
        values = values_of(image)
        half = Roi(image.roi.begin, Coordinate(16, 30, 33) * SIZE)
        image.write(half, values[:, :16])
        assert {index[0] for index in image.done} == {0, 1}
        assert {index[0] for index in image.missing} == {2}

    def test_a_part_of_a_block_is_our_own_mistake(self, tmp_path: Path) -> None:
        image = create(tmp_path / "out.zarr")
        part = Roi(image.roi.begin, Coordinate(4, 16, 16) * SIZE)
        with pytest.raises(AssertionError):
            image.write(part, np.zeros((2, 4, 16, 16), np.float32))

    def test_without_channels_in_voxels_and_in_2d(self, tmp_path: Path, sharded: bool) -> None:
        image = GrowingImage.create(
            tmp_path / "labels.zarr",
            roi=Roi((3, 4), (50, 60)),
            voxel_size=Coordinate(1, 1),
            unit=VOXEL,
            axes=("y", "x"),
            num_channels=None,
            dtype=np.uint64,
            name="cells",
            is_labels=True,
            block_shape=(32, 32),
            sharded=sharded,
        )
        values = values_of(image) + np.uint64(2**40)
        fill(image, values)
        list(image.finish())
        there = open_array(image.path)
        assert there.num_channels is None
        assert there.unit == VOXEL
        np.testing.assert_array_equal(there[there.roi], values)
        attributes = zarr.open(image.path, mode="r").attrs.asdict()
        assert "image-label" in attributes.get("ome", attributes)

    def test_no_warning_when_it_is_looked_for(self, tmp_path: Path, recwarn: Any) -> None:
        image = create(tmp_path / "all/out.zarr")
        zarr.open_group(tmp_path / "all", mode="a", zarr_format=2)
        assert [name for name, _ in images_at(tmp_path / "all")] == [str(image.path)]
        assert not recwarn.list


class TestBlocks:
    def test_a_small_image_has_small_files_and_no_shards(self, tmp_path: Path) -> None:
        image = create(tmp_path / "a.zarr", (30, 300, 500), block_shape=None)
        assert image.block_shape == (30, 256, 256)
        assert zarr.open(image.path, mode="r").metadata.zarr_format == 2

    def test_a_large_one_has_shards(self, tmp_path: Path) -> None:
        image = create(tmp_path / "a.zarr", (2048, 2048, 512), block_shape=None)
        assert image.block_shape == (256, 256, 256)
        assert image.array.data.shards == (1, 256, 256, 256)
        assert image.array.data.chunks == (1, 64, 64, 64)

    def test_a_block_with_many_channels_fits_into_memory(self, tmp_path: Path) -> None:
        image = create(tmp_path / "a.zarr", (2048,) * 3, block_shape=None, num_channels=13)
        assert prod(image.block_shape) * 13 * 4 <= growing_layout.LARGEST_BLOCK
        assert min(image.block_shape) >= 128


class TestTaken:
    def test_another_image_is_refused_and_can_be_overwritten(self, tmp_path: Path) -> None:
        path = tmp_path / "out.zarr"
        first = create(path)
        fill(first, values_of(first))
        list(first.finish())
        with pytest.raises(DataTakenError, match="overwrite it, or choose another name") as caught:
            create(path, num_channels=3)
        assert (caught.value.can_resume, caught.value.can_overwrite) == (False, True)
        with pytest.raises(DataTakenError, match="other data or parameters"):
            create(path, num_channels=3, exists="resume")
        again = create(path, num_channels=3, exists="overwrite")
        assert len(again.missing) == prod(again.grid)
        assert again.array.num_channels == 3
        assert not again.array[again.roi].any()

    def test_the_same_one_is_resumed(self, tmp_path: Path, sharded: bool) -> None:
        path = tmp_path / "out.zarr"
        first = create(path, attrs={"made": [1, (2, 3)]}, sharded=sharded)
        values = values_of(first)
        fill(first, values, [(1, 1, 1)])
        with pytest.raises(DataTakenError, match="begun and not finished: resume it") as caught:
            create(path, attrs={"made": [1, (2, 3)]})
        assert caught.value.can_resume
        # However it would be divided today: what is there stays.
        again = create(path, attrs={"made": [1, (2, 3)]}, exists="resume", block_shape=(64,) * 3)
        assert again.block_shape == BLOCK
        assert again.done == {(1, 1, 1)}
        fill(again, values)
        list(again.finish())
        np.testing.assert_array_equal(again.array[again.roi], values)

    def test_a_whole_one_is_resumed_without_work(self, tmp_path: Path) -> None:
        first = create(tmp_path / "out.zarr")
        fill(first, values_of(first))
        list(first.finish())
        again = create(tmp_path / "out.zarr", exists="resume")
        assert again.is_finished
        assert again.missing == []

    def test_with_other_attributes_it_is_another_one(self, tmp_path: Path) -> None:
        create(tmp_path / "out.zarr", attrs={"iteration": 10})
        with pytest.raises(DataTakenError, match="other data or parameters") as caught:
            create(tmp_path / "out.zarr", attrs={"iteration": 20}, exists="resume")
        assert not caught.value.can_resume

    @pytest.mark.parametrize("exists", ["refuse", "resume", "overwrite"])
    def test_what_is_no_image_is_never_deleted(self, tmp_path: Path, exists: Any) -> None:
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis/chapter.tex").write_text("years of work")
        zarr.open_group(tmp_path / "many.zarr", mode="w").create_group("raw")
        for name in ("thesis", "thesis/chapter.tex", "many.zarr"):
            with pytest.raises(DataTakenError, match="no image that could be") as caught:
                create(tmp_path / name, exists=exists)
            assert not caught.value.can_overwrite
        assert (tmp_path / "thesis/chapter.tex").read_text() == "years of work"
        assert (tmp_path / "many.zarr/raw").exists()

    def test_an_empty_folder_is_free(self, tmp_path: Path) -> None:
        (tmp_path / "out.zarr").mkdir()
        assert create(tmp_path / "out.zarr").missing


class TestFaults:
    def test_a_full_disk_is_one_sentence_and_loses_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = create(tmp_path / "out.zarr")
        values = values_of(image)
        fill(image, values, [(0, 0, 0)])

        def full(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("zarr.storage._local._put", full)
            with pytest.raises(DiskFullError, match=r"no space left on the disk of .*out\.zarr"):
                fill(image, values, [(0, 0, 1)])
        assert image.done == {(0, 0, 0)}
        fill(image, values)
        np.testing.assert_array_equal(image.array[image.roi], values)

    def test_a_block_that_was_cut_short_is_not_done(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As after a kill between the files of a block: what there is does not count."""
        image = create(tmp_path / "out.zarr")
        values = values_of(image)
        from zarr.storage import _local

        put, calls = _local._put, iter(range(100))

        def killed(*arguments: Any, **more: Any) -> Any:
            if next(calls):
                raise RuntimeError("killed")
            return put(*arguments, **more)

        with monkeypatch.context() as patch:
            patch.setattr("zarr.storage._local._put", killed)
            with pytest.raises(RuntimeError, match="killed"):
                fill(image, values, [(0, 0, 0)])
        half = image.path / "0/0/0/0/0.1234.partial"
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(b"half")
        again = create(image.path, exists="resume")
        assert again.done == frozenset()
        assert not list(image.path.rglob("*.partial"))

    def test_files_of_the_system_are_no_blocks(self, tmp_path: Path) -> None:
        image = create(tmp_path / "out.zarr")
        fill(image, values_of(image), [(0, 0, 0)])
        for name in (".DS_Store", ".nfs0000a1", "0.0.1.swp"):
            (image.state / "done" / name).touch()
        assert image.done == {(0, 0, 0)}

    def test_finishing_can_be_left_and_begun_again(self, tmp_path: Path) -> None:
        image = create(tmp_path / "out.zarr", (600, 20, 20), block_shape=(128, 32, 32))
        values = values_of(image)
        fill(image, values)
        steps = image.finish()
        next(steps)
        steps.close()
        assert is_growing(image.path)
        there = open_array(image.path)
        np.testing.assert_array_equal(there[there.roi], values)
        list(GrowingImage.open(image.path).finish())
        assert not is_growing(image.path)

    def test_a_folder_that_is_gone_is_not_made_anew(self, tmp_path: Path) -> None:
        image = create(tmp_path / "out.zarr")
        image.path.rename(tmp_path / "elsewhere.zarr")
        with pytest.raises(DataError, match=r"out\.zarr is gone"):
            fill(image, np.zeros((2, *SHAPE), np.float32), [(0, 0, 0)])
        assert not (tmp_path / "out.zarr").exists()

    def test_there_is_nothing_to_open(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no image that was begun here"):
            GrowingImage.open(tmp_path)
        with pytest.raises(DataError, match="There is nothing at"):
            stored_attrs(tmp_path / "nothing.zarr")


class TestPyramid:
    @given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 60)), min_size=1, max_size=3))
    def test_levels(self, axes: list[tuple[int, int]]) -> None:
        shape, size = zip(*axes, strict=True)
        levels = levels_of(shape, size)
        assert levels[0].shape == shape
        assert max(levels[-1].shape) <= max(COARSEST, 1)
        for finer, coarser in pairwise(levels):
            assert coarser.shape != finer.shape
            for n, f, m in zip(finer.shape, coarser.factor, coarser.shape, strict=True):
                assert m == -(-n // f)

    def test_long_voxels_are_halved_later(self) -> None:
        levels = levels_of((600, 2000, 2000), (40, 10, 10))
        scales = [(1, 1, 1), (1, 2, 2), (1, 4, 4), (2, 8, 8), (4, 16, 16)]
        assert [level.scale for level in levels] == scales

    def test_the_mean_of_what_there_is(self) -> None:
        values = np.array([[0, 2, 4], [2, 4, 8], [10, 20, 30]], np.float32)
        np.testing.assert_array_equal(coarse(values, (2, 2), nearest=False), [[2, 6], [15, 30]])
        np.testing.assert_array_equal(
            coarse(values.astype(np.uint8), (2, 2), nearest=False), [[2, 6], [15, 30]]
        )
        np.testing.assert_array_equal(coarse(values, (1, 2), nearest=True), values[:, ::2])

    def test_ids_are_never_averaged(self) -> None:
        values = np.array([2**60 + 1, 7, 3], np.uint64)
        np.testing.assert_array_equal(coarse(values, (2,), nearest=True), values[::2])

    @pytest.mark.parametrize("labels", [False, True])
    def test_every_level_lies_where_it_belongs(
        self, tmp_path: Path, sharded: bool, labels: bool
    ) -> None:
        """A ramp stays a ramp: values say where a voxel lies."""
        image = GrowingImage.create(
            tmp_path / "out.zarr",
            roi=Roi((100, 40), (8 * 1100, 8 * 70)),
            voxel_size=Coordinate(8, 8),
            unit=NANOMETRE,
            axes=("y", "x"),
            num_channels=None if labels else 1,
            dtype=np.uint32 if labels else np.float32,
            name="ramp",
            is_labels=labels,
            block_shape=(256, 64),
            sharded=sharded,
        )
        ramp = np.broadcast_to(100 + 8 * np.arange(1100)[:, None], (1100, 70))
        fill(image, ramp if labels else ramp[None])
        list(image.finish())
        attributes = zarr.open(image.path, mode="r").attrs.asdict()
        datasets = attributes.get("ome", attributes)["multiscales"][0]["datasets"]
        assert len(datasets) == 4
        for dataset in datasets:
            values = np.squeeze(zarr.open_array(image.path / dataset["path"], mode="r")[...])
            scale, place = dataset["coordinateTransformations"]
            step, begin = scale["scale"][-2], place["translation"][-2]
            expected = begin + step * np.arange(len(values))
            full = 1100 // int(step / 8)  # the last one may be of fewer
            off = np.abs(values[:full, 0] - expected[:full])
            # The nearest voxel of a group is up to half a coarse voxel away from its centre.
            assert off.max() <= (step / 2 if labels else 1e-2)
