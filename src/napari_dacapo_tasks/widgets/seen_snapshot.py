"""Snapshots of training, drawn as they are to be seen."""

from __future__ import annotations

from dataclasses import dataclass

from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.training.events import Snapshot
from napari_dacapo_tasks.widgets.pictures import Picture, draw


@dataclass(frozen=True)
class SeenSnapshot:
    """A snapshot, and how its target and prediction are to be seen.

    Attributes
    ----------
    snapshot
        From training.
    ranges
        Lowest and highest value of each channel of target and prediction.
    highest_weight
        Of all channels, 1 where none weighs anything.
    target, prediction
        Pictures of several channels.
    """

    snapshot: Snapshot
    ranges: list[tuple[float, float]]
    highest_weight: float
    target: list[Picture]
    prediction: list[Picture]


def see(snapshot: Snapshot, config: TaskConfig) -> SeenSnapshot:
    """Draw a snapshot of a task; not for the main thread."""
    predictor = config.task_type(config).predictor
    ranges, composites = predictor.target_ranges, predictor.composites
    return SeenSnapshot(
        snapshot,
        ranges,
        float(snapshot.weight.data.max(initial=0.0)) or 1.0,
        draw(snapshot.target.data, composites, ranges),
        draw(snapshot.prediction.data, composites, ranges),
    )
