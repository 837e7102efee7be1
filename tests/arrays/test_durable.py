"""What is on the disk when something gets its name: seen by the order of calls."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import Array, durable
from napari_dacapo_tasks.arrays.growing_image import GrowingImage, is_growing
from napari_dacapo_tasks.arrays.ome_zarr import new_folder, write_ome_zarr
from napari_dacapo_tasks.units import NANOMETRE

posix = pytest.mark.skipif(os.name != "posix", reason="elsewhere folders are not synced")


class Calls:
    """Notes what is synced and what gets a name, in order, by inode: names change."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[str, int]] = []
        self.on_sync: Callable[[], None] = lambda: None
        fsync = os.fsync

        def synced(handle: int) -> None:
            self.made.append(("synced", os.fstat(handle).st_ino))
            self.on_sync()
            fsync(handle)

        monkeypatch.setattr(os, "fsync", synced)
        for name in ("replace", "rename"):
            monkeypatch.setattr(os, name, self._named(getattr(os, name)))

    def _named(self, move: Callable[..., None]) -> Callable[..., None]:
        def moved(source: Path, target: Path) -> None:
            self.made.append(("named", Path(source).stat().st_ino))
            move(source, target)

        return moved

    def of(self, path: Path) -> list[str]:
        """Give what was done with what has a path now."""
        inode = path.stat().st_ino
        return [what for what, where in self.made if where == inode]

    def before(self, path: Path) -> set[int]:
        """Give what was synced before something got the name that it has now."""
        end = self.made.index(("named", path.stat().st_ino))
        return {where for what, where in self.made[:end] if what == "synced"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def inodes(folder: Path) -> set[int]:
    return {path.stat().st_ino for path in (folder, *folder.rglob("*"))}


def small() -> Array:
    return Array(np.ones((70, 8, 8), np.uint8), axes="zyx", voxel_size=(8, 8, 8))


@posix
def test_a_file_is_synced_then_named_then_its_folder_is_synced(
    tmp_path: Path, calls: Calls
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with durable.whole_file(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    here, above = path.stat().st_ino, tmp_path.stat().st_ino
    assert calls.made == [("synced", here), ("named", here), ("synced", above)]


@posix
def test_all_of_a_folder_is_synced_before_it_is_named(tmp_path: Path, calls: Calls) -> None:
    path = tmp_path / "image.zarr"
    for _ in write_ome_zarr(path, small(), "image"):
        pass
    assert calls.before(path) >= inodes(path)
    assert calls.made[-1] == ("synced", tmp_path.stat().st_ino)


def test_a_folder_that_need_not_last_costs_nothing(tmp_path: Path, calls: Calls) -> None:
    with new_folder(tmp_path / "look", lasting=False) as folder:
        (folder / "file").touch()
    assert [what for what, _ in calls.made] == ["named"]


@pytest.mark.parametrize("sharded", [False, True])
def test_a_block_is_synced_before_it_counts_as_done(
    tmp_path: Path, calls: Calls, sharded: bool
) -> None:
    shape, size = Coordinate(40, 16, 16), Coordinate(8, 8, 8)
    image = GrowingImage.create(
        tmp_path / "out.zarr",
        roi=Roi((0, 0, 0), shape * size),
        voxel_size=size,
        unit=NANOMETRE,
        axes="zyx",
        num_channels=2,
        dtype=np.uint8,
        name="out",
        block_shape=(16, 16, 16),
        sharded=sharded,
    )
    for index in image.indices():
        calls.made.clear()
        done = image.done
        calls.on_sync = lambda done=done: done == image.done or pytest.fail("too early")
        before = inodes(image.path / "0")
        block = image.block(index)
        image.write(block, np.ones((2, *block.shape / size), np.uint8))
        new = {
            path.stat().st_ino
            for path in (image.path / "0").rglob("*")
            if image.state not in (path, *path.parents)
        } - before
        assert new
        files = {where for what, where in calls.made if what == "synced"}
        assert files >= new if os.name == "posix" else files
        assert image.is_done(index)


def test_an_image_is_whole_when_all_levels_are_synced(tmp_path: Path, calls: Calls) -> None:
    image = GrowingImage.create(
        tmp_path / "out.zarr",
        roi=Roi((0, 0), (600, 8)),
        voxel_size=Coordinate(1, 1),
        unit=NANOMETRE,
        axes="yx",
        num_channels=None,
        dtype=np.uint8,
        name="out",
    )
    for index in image.indices():
        block = image.block(index)
        image.write(block, np.ones(block.shape, np.uint8))
    calls.on_sync = lambda: is_growing(image.path) or pytest.fail("it counts as whole already")
    calls.made.clear()
    list(image.finish())
    assert image.is_finished
    last = [*(image.path / "1").rglob("*"), image.path / ".zattrs"]
    assert all("synced" in calls.of(path) for path in last if path.is_file())


class TestFolders:
    def failing(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        fsync = os.fsync

        def fails_for_folders(handle: int) -> None:
            if os.path.isdir(handle):
                raise OSError(number, os.strerror(number))
            fsync(handle)

        monkeypatch.setattr(os, "fsync", fails_for_folders)

    @posix
    @pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.ENOTSUP])
    def test_file_systems_that_do_not_sync_them_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        self.failing(monkeypatch, number)
        with durable.whole_file(tmp_path / "file") as file:
            file.write(b"safe")
        assert (tmp_path / "file").read_bytes() == b"safe"

    @posix
    def test_a_broken_disk_is_not_taken_for_one_of_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.failing(monkeypatch, errno.EIO)
        with (
            pytest.raises(OSError, match=os.strerror(errno.EIO)),
            durable.whole_file(tmp_path / "file") as file,
        ):
            file.write(b"who knows")


@pytest.mark.parametrize(("tries", "works"), [(3, True), (2, False)])
def test_a_reader_is_waited_for_where_the_system_minds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tries: int, works: bool
) -> None:
    replace, refusals = os.replace, iter([PermissionError, PermissionError, None])

    def refused(*paths: Any) -> None:
        if error := next(refusals):
            raise error("somebody reads it")
        replace(*paths)

    monkeypatch.setattr(os, "replace", refused)
    monkeypatch.setattr(durable, "TRIES", tries)
    monkeypatch.setattr(durable, "SECONDS_BETWEEN", 0)
    (tmp_path / "file").write_bytes(b"old")
    if works:
        with durable.whole_file(tmp_path / "file") as file:
            file.write(b"new")
    else:
        with pytest.raises(PermissionError), durable.whole_file(tmp_path / "file"):
            pass
    assert (tmp_path / "file").read_bytes() == (b"new" if works else b"old")
    assert os.listdir(tmp_path) == ["file"]
