"""From a prediction to labels on a disk, whole or block by block, as its size demands."""

from __future__ import annotations

from collections.abc import Generator
from math import prod
from pathlib import Path

from napari_dacapo_tasks.arrays.array import Array
from napari_dacapo_tasks.arrays.growing_image import Exists
from napari_dacapo_tasks.arrays.growing_layout import is_taken, refuse
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.prediction.fit import IN_MEMORY_BYTES
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.segmentation.blocks import segment_blockwise
from napari_dacapo_tasks.segmentation.labels_image import labels_image
from napari_dacapo_tasks.segmentation.segment import Parameters, Segmentation, segment
from napari_dacapo_tasks.tasks.post_processors.post_processor import share_of

SEGMENTED = 0.9
"""Share of the work after which all labels are found."""


def segment_to_disk(
    prediction: Prediction,
    out: str | Path,
    method: int | str | None = None,
    parameters: Parameters = None,
    *,
    blockwise: bool | None = None,
    exists: Exists = "refuse",
) -> Generator[float, None, Segmentation]:
    """Segment a prediction into an OME-Zarr image of labels; to cancel, leave the generator.

    Parameters
    ----------
    prediction
        In memory or on disk.
    out
        Folder of the image.
    method, parameters
        As of `segment`.
    blockwise
        Whether to go block by block, as of `segment_blockwise`; None: where the prediction is
        large.
    exists
        What to do where there is an image. Only what goes block by block can be resumed.

    Yields
    ------
    float
        Share that is done.

    Returns
    -------
    Segmentation
        Its array is on disk.

    Raises
    ------
    DataError
        Where the folder is taken, or cannot be written.
    ConfigError
        Where there is no such method or parameter, or what cannot be resumed is to be.
    """
    if is_large(prediction.array) if blockwise is None else blockwise:
        return (yield from segment_blockwise(prediction, out, method, parameters, exists=exists))
    if exists == "resume":
        raise ConfigError(
            "What is segmented as a whole cannot be resumed: segment block by block, or begin anew."
        )
    if is_taken(Path(out)):  # refused now, and not after the work
        refuse(Path(out), exists, None, same=False)
    made = yield from share_of(segment(prediction, method, parameters), 0.0, SEGMENTED)
    array = made.array
    image = labels_image(out, prediction, made.method, made.parameters, array, exists)
    image.write(array.roi, array[array.roi])
    yield from share_of(image.finish(), SEGMENTED, 1.0)
    return Segmentation(ZarrArray.open(image.path), made.method, made.parameters, made.task)


def is_large(prediction: Array) -> bool:
    """Whether a prediction had better not be in memory as a whole."""
    values = prod(prediction.shape) * (prediction.num_channels or 1)
    return values * prediction.dtype.itemsize > IN_MEMORY_BYTES
