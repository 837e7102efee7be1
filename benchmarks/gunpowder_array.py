"""Whether a real array of gunpowder becomes one of ours; not a figure, but it needs DaCapo's world.

    DACAPO_PYTHON benchmarks/gunpowder_array.py

gunpowder 1.4 does not import beside zarr 3, so the tests use stand-ins of its arrays, and this runs
in DaCapo's environment. Prints OK, or fails.
"""

import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import gunpowder
import numpy as np

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = "napari_dacapo_tasks.arrays"


def numpy_array() -> type:
    """Import `NumpyArray` and what it needs: the rest of its package wants pydantic 2."""
    sys.path.insert(0, str(SOURCE))
    package = ModuleType(PACKAGE)
    package.__path__ = [str(SOURCE.joinpath(*PACKAGE.split(".")))]
    sys.modules[PACKAGE] = package
    from napari_dacapo_tasks.arrays.numpy_array import NumpyArray

    return NumpyArray


def main() -> None:
    ours = numpy_array()
    from napari_dacapo_tasks.errors import DataError

    roi = gunpowder.Roi((80, 0, -8), (160, 20, 48))
    spec = gunpowder.ArraySpec(roi, (40, 4, 8), interpolatable=True, dtype=np.float32)
    for front in [(), (3,), (1, 3)]:
        values = np.random.default_rng(0).random((*front, 4, 5, 6)).astype(np.float32)
        theirs = gunpowder.Array(values, spec, {"stain": "osmium"})
        array = ours.from_gp_array(theirs)
        assert array.axes == (("c", "z", "y", "x") if front else ("z", "y", "x"))
        assert tuple(array.roi.begin) == (80, 0, -8)
        assert tuple(array.roi.shape) == (160, 20, 48)
        assert tuple(array.voxel_size) == (40, 4, 8)
        assert array.attrs == {"stain": "osmium", "interpolatable": True}
        inner = gunpowder.Roi((120, 4, 0), (80, 8, 16))
        cropped = theirs.crop(inner).data
        assert np.array_equal(array[inner], cropped[0] if len(front) == 2 else cropped)
    nowhere = gunpowder.Array(np.zeros(3), gunpowder.ArraySpec(nonspatial=True))
    try:
        ours.from_gp_array(nowhere)
    except DataError:
        print(f"OK: gunpowder {version('gunpowder')}, zarr {version('zarr')}")
    else:
        raise SystemExit("An array without a place was taken.")


if __name__ == "__main__":
    main()
