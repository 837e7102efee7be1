"""The snapshots of a run: all of a short one, a thinned series of a long one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.ome_zarr import fill_group, new_folder
from napari_dacapo_tasks.runs.files import require_there, writing

SNAPSHOTS = "snapshots"
ENDING = ".ome.zarr"

LAST_KEPT = 5
"""The last ones, which are looked at most."""

SERIES = 15
"""Number of those before that stay: a snapshot of a usual crop takes some ten megabytes."""


def snapshot_path(folder: Path, iteration: int) -> Path:
    """Give the folder of a snapshot."""
    return folder / SNAPSHOTS / f"{iteration:06d}{ENDING}"


def snapshots_in(folder: Path) -> list[Path]:
    """Give the snapshots of a run folder, the latest last."""
    found = (folder / SNAPSHOTS).glob(f"*{ENDING}")
    whole = [path for path in found if path.name.removesuffix(ENDING).isdigit()]
    return sorted(whole, key=_iteration_of)


def write_snapshot(folder: Path, iteration: int, images: Mapping[str, Array]) -> Path:
    """Write a snapshot's images, in the place of an earlier one of the same iteration.

    Then thin out the older ones: that goes which leaves the smallest gap, so that they stay about
    evenly spread over the iterations, and the very first is always there.
    """
    path = snapshot_path(folder, iteration)
    with (
        writing(folder, f"{SNAPSHOTS}/{path.name}"),
        # A look at the run: none is worth the wait for a slow disk.
        new_folder(path, replace=True, lasting=False) as partial,
    ):
        for _ in fill_group(partial, images):
            pass
        require_there(folder)  # a run that went meanwhile stays gone
    _thin_out(folder)
    return path


def _thin_out(folder: Path) -> None:
    there = snapshots_in(folder)
    while len(there) > SERIES + LAST_KEPT:
        at = [_iteration_of(path) for path in there]
        gaps = {index: at[index + 1] - at[index - 1] for index in range(1, len(at) - LAST_KEPT)}
        # One that is open elsewhere, as Windows minds, goes another time.
        shutil.rmtree(there.pop(min(gaps, key=lambda index: gaps[index])), ignore_errors=True)


def _iteration_of(path: Path) -> int:
    return int(path.name.removesuffix(ENDING))
