"""The image on a disk that a segmentation is written into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.arrays.growing_image import Exists, GrowingImage
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.tasks.files import task_to_dict
from napari_dacapo_tasks.tasks.post_processors.post_processor import PostProcessorParameters
from napari_dacapo_tasks.tasks.task import Method

KIND = "segmentation"
"""Key under which the image holds how its labels were made."""


def labels_image(
    out: str | Path,
    prediction: Prediction,
    method: Method,
    parameters: PostProcessorParameters,
    labels: Array,
    exists: Exists,
    block_shape: Sequence[int] | None = None,
) -> GrowingImage:
    """Make the image of all labels of a prediction; raises as `GrowingImage.create`.

    Parameters
    ----------
    labels
        Some of them, which say how many channels there are and of which type.
    """
    array = prediction.array
    return GrowingImage.create(
        out,
        roi=array.roi,
        voxel_size=array.voxel_size,
        unit=array.unit,
        axes=[name for name in array.axes if name != CHANNEL],
        num_channels=labels.num_channels,
        dtype=labels.dtype,
        name=prediction.name or KIND,
        is_labels=True,
        attrs={
            KIND: {
                "task": task_to_dict(prediction.task),
                "method": method.title,
                "parameters": parameters.model_dump(mode="json"),
            }
        },
        exists=exists,
        block_shape=block_shape,
    )
