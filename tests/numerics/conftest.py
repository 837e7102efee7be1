"""Slow and plain references, and the golden numbers."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def golden():
    """Return a function that reads a golden file: its parameters and its arrays."""
    index = json.loads((GOLDEN / "index.json").read_text())

    def read(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        with np.load(GOLDEN / f"{name}.npz") as arrays:
            return index[name], dict(arrays)

    return read


@pytest.fixture(scope="session")
def turns_beside():
    """Return a function that counts the turns of another thread while a call goes on.

    The call is repeated until there are enough, since on a busy machine the other thread may get
    no core for as long as a call takes. Where the interpreter is held, no call leaves it more
    than a turn or two.
    """

    def count(function: Callable[..., Any], *arguments: Any, enough: int = 6) -> int:
        turns = 0
        for _ in range(50):
            call = threading.Thread(target=function, args=arguments)
            call.start()
            turns = 0
            while call.is_alive():
                time.sleep(0.001)
                turns += 1
            if turns >= enough:
                break
        return turns

    return count


@pytest.fixture(scope="session")
def doubled_grid_distance():
    """Return DaCapo's way to the signed distance: a transform of the doubled grid."""

    def measure(labels: np.ndarray, voxel_size: tuple[float, ...]) -> np.ndarray:
        no_face = np.ones([2 * length - 1 for length in labels.shape], bool)
        for axis in range(labels.ndim):
            ahead = np.take(labels, range(1, labels.shape[axis]), axis)
            behind = np.take(labels, range(labels.shape[axis] - 1), axis)
            between = [slice(None, None, 2)] * labels.ndim
            between[axis] = slice(1, None, 2)
            no_face[tuple(between)] = ahead == behind
        if no_face.all():
            sides = [length * size for length, size in zip(labels.shape, voxel_size, strict=True)]
            distance = np.full(labels.shape, min(sides) / 2)
        else:
            sampling = [size / 2 for size in voxel_size]
            doubled = ndimage.distance_transform_edt(no_face, sampling=sampling)
            distance = doubled[(slice(None, None, 2),) * labels.ndim]
        return np.where(labels != 0, distance, -distance)

    return measure


@pytest.fixture(scope="session")
def cells():
    """Return a function that makes touching cells and background, as instance labels."""

    def grow(shape: tuple[int, ...], num_cells: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        seeds = np.ones(shape, bool)
        seeds[tuple(rng.integers(0, length, num_cells) for length in shape)] = False
        nearest = ndimage.distance_transform_edt(seeds, return_distances=False, return_indices=True)
        ids = rng.permutation(seeds.size).reshape(shape) % 60_000 + 1
        ids[rng.random(shape) < 0.3] = 0
        return ids[tuple(nearest)].astype(np.uint16)

    return grow
