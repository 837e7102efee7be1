"""What `tasks.py` measures, and on what."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import ndimage

VOXEL_SIZE = 8  # nm, isotropic, as FIB-SEM has it
SCALE_FACTOR = 50.0  # nm
NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
TWELVE = [
    *NEAREST,
    *((2, 0, 0), (0, 3, 0), (0, 0, 3)),
    *((3, 0, 0), (0, 9, 0), (0, 0, 9)),
    *((4, 0, 0), (0, 27, 0), (0, 0, 27)),
]
LSD_OBJECTS = 50
LSD_VOXELS = 10


@dataclass(frozen=True)
class Case:
    """One kind of work.

    ``goal`` and ``reach`` say how many times faster than DaCapo it is to be; ``memory`` which
    part of DaCapo's extra memory it may take.
    """

    name: str
    predictor: str  # or "" for the scores of a binary segmentation
    arguments: dict[str, Any]
    lengths: tuple[int, ...]
    goal: float
    reach: float
    memory: float | None = 0.25
    agreement: float = 1e-6
    objects: int | None = None
    # DaCapo's own work on ids is refused or wrong: both sides get foreground.
    foreground: bool = False
    growth: tuple[int, ...] = ()

    def described(self) -> dict[str, Any]:
        """Everything that a side needs, in plain values."""
        return {**asdict(self), "voxel_size": VOXEL_SIZE}


def _distances(mask: bool | None) -> dict[str, Any]:
    masked = {} if mask is None else {"mask_distances": mask}
    return {"channels": ["cell"], "scale_factor": SCALE_FACTOR, **masked}


CASES = (
    Case(
        "Distance",
        "DistancePredictor",
        _distances(mask=True),
        (64, 128, 256),
        goal=15,
        reach=40,
        growth=(64, 128, 256, 512),
    ),
    Case(
        "Inner distance",
        "InnerDistancePredictor",
        _distances(mask=None),
        (128, 256),
        goal=15,
        reach=40,
        foreground=True,
        growth=(64, 128, 256, 512),
    ),
    Case(
        "Hot distance",
        "HotDistancePredictor",
        {**_distances(mask=True), "kernel_size": 1},
        (128, 256),
        goal=15,
        reach=40,
        foreground=True,
        growth=(64, 128, 256, 512),
    ),
    Case(
        "Affinities, 3 offsets",
        "AffinitiesPredictor",
        {"neighborhood": NEAREST, "lsds": False},
        (128, 256),
        goal=8,
        reach=25,
        growth=(64, 128, 256, 512),
    ),
    Case(
        "Affinities, 12 offsets",
        "AffinitiesPredictor",
        {"neighborhood": TWELVE, "lsds": False},
        (128, 256),
        goal=8,
        reach=25,
        growth=(64, 128, 256),
    ),
    Case(
        f"LSDs, {LSD_OBJECTS} objects",
        "AffinitiesPredictor",
        {"neighborhood": NEAREST, "lsds": True, "num_voxels": LSD_VOXELS},
        (128,),
        goal=60,
        reach=200,
        memory=None,
        agreement=1e-3,
        objects=LSD_OBJECTS,
        growth=(64, 128, 256, 512),
    ),
    Case("21 binary scores", "", {}, (128,), goal=3, reach=10, memory=None, foreground=True),
)

OBJECT_NUMBERS = (10, 100, 1000, 10_000)
"""Of objects in 128^3, for which the LSDs are to take the same time."""


def touching_cells(length: int, objects: int | None = None) -> np.ndarray:
    """Make ids (length^3, uint16) of touching cells, 3 in 10 background.

    They are about 28 voxels wide, or as many as ``objects`` in 128^3. One block of 128^3, cropped
    for less and repeated in the mirror for more, so that all sizes hold the same kind of thing.
    """
    block, spacing = 128, 28
    rng = np.random.default_rng(0)
    number = round(objects / 0.7) if objects else (block // spacing) ** 3
    seeds = np.ones([block] * 3, bool)
    seeds[tuple(rng.integers(0, block, (3, number)))] = False
    number = np.count_nonzero(~seeds)
    nearest = ndimage.distance_transform_edt(seeds, return_distances=False, return_indices=True)
    ids = np.zeros(seeds.shape, np.uint16)
    ids[~seeds] = np.arange(1, number + 1) * (rng.random(number) > 0.3)
    cells = ids[tuple(nearest)]
    if objects is None or objects < 1000:  # smaller ones would be torn to pieces
        bend = [ndimage.gaussian_filter(rng.normal(size=cells.shape), 6) for _ in range(3)]
        places = np.indices(cells.shape) + [3 * part / part.std() for part in bend]
        cells = ndimage.map_coordinates(cells, places, order=0, mode="nearest")
    if length <= block:
        return np.ascontiguousarray(cells[:length, :length, :length])
    return mirrored(cells, length - block)


def mirrored(cells: np.ndarray, more: int) -> np.ndarray:
    """Continue cells in the mirror, with ids of their own in every block of 128^3."""
    block = len(cells)
    whole = np.pad(cells, [(0, more)] * 3, mode="symmetric").astype(np.uint32)
    places = np.arange(block + more) // block
    blocks = places[:, None, None] * 100 + places[None, :, None] * 10 + places[None, None, :]
    whole += (blocks * (int(cells.max()) + 1)).astype(np.uint32) * (whole != 0)
    return whole


def shifted(truth: np.ndarray) -> np.ndarray:
    """Make a segmentation that is a little wrong: moved by two voxels, a part of it missing."""
    test = np.roll(truth, (2, 1, 0), (0, 1, 2))
    test[: len(test) // 8] = 0
    return test
