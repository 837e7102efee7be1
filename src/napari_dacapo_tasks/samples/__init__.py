"""The built-in samples: made-up tissue that looks like FIB-SEM, with its ground truth.

Everything is drawn from one seed and in nanometres: the same call gives the same sample, and with
other voxels the same kinds of things come out, as large as before.

1. `tubes`: tubes are placed where there is room: first mitochondria, then neurites without one.
2. `cells`: tubes become cells, in coordinates bent by smooth noise (`fields`).
3. `organelles`: mitochondria, sheets of endoplasmic reticulum and vesicles are cut out of cells.
4. `micrograph`: the raw image is painted from these shapes, blurred and made noisy.

`tissue` does the first three, `sample` is what others call.
"""

from napari_dacapo_tasks.samples.organelles import ORGANELLES
from napari_dacapo_tasks.samples.sample import Sample, cells_2d, cells_3d

__all__ = ["ORGANELLES", "Sample", "cells_2d", "cells_3d"]
