"""What a package for bioimage.io says in words."""

from __future__ import annotations

from napari_dacapo_tasks import __version__
from napari_dacapo_tasks.prediction.export.description import ModelDescription
from napari_dacapo_tasks.tasks.task import LABELS

DOCUMENTATION = """\
# {name}

{summary}

- Input: raw data with the axes {axes}, in the values that it has; {low:g} becomes -1 and {high:g}
  becomes 1 before the network sees it.{size}
- Output: {channels}.
- It was trained for {iteration} steps with napari-dacapo-tasks {version}, which opens this package
  to predict, segment and score.

## Validation

Predict a part of your data for which there is ground truth, and score it in napari (Predict dock,
"Score") or with `napari-dacapo-tasks evaluate`.
"""


def summary(description: ModelDescription) -> str:
    """Say in a sentence what a network answers."""
    task = description.task
    kinds = [name for name in task.ground_truth_channels if name != LABELS]
    of = f" of {', '.join(kinds)}" if kinds else ""
    dims = description.architecture.dims
    return f"A {dims}D U-Net for the DaCapo task {type(task).title.lower()}{of}."


def documentation(description: ModelDescription) -> str:
    """Write the documentation of a package, in Markdown."""
    low, high = description.intensity_range
    size = " x ".join(f"{one:g}" for one in description.voxel_size)
    task = description.task
    return DOCUMENTATION.format(
        name=description.name,
        summary=summary(description),
        axes=", ".join("zyx"[-description.architecture.dims :]),
        low=low,
        high=high,
        size=f" Voxels of {size} {description.unit}." if size else "",
        channels=", ".join(task.task_type(task).channels),
        iteration=description.iteration,
        version=__version__,
    )
