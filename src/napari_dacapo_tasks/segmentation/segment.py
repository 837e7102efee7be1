"""From predictions to segmentations, in memory."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from funlib.geometry import Roi

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.tasks import Task, TaskConfig
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    PostProcessor,
    PostProcessorParameters,
)
from napari_dacapo_tasks.tasks.task import Method
from napari_dacapo_tasks.tasks.values import nearest, validated

Parameters = PostProcessorParameters | Mapping[str, Any] | None


@dataclass(frozen=True)
class Segmentation:
    """Labels that were made of a prediction.

    Attributes
    ----------
    array
        Of the shape ``(c, z, y, x)`` or ``(c, y, x)``, in the place of what was segmented.
    method
        That made it.
    parameters
        Of its post-processor.
    task
        That of the prediction.
    """

    array: Array
    method: Method
    parameters: PostProcessorParameters
    task: TaskConfig


def segment(
    prediction: Prediction,
    method: int | str | None = None,
    parameters: Parameters = None,
    roi: Roi | None = None,
) -> Generator[float, None, Segmentation]:
    """Segment a prediction that fits into memory; to cancel, leave the generator.

    Parameters
    ----------
    prediction
        What a network answered, or a perfect target.
    method
        One of the task's methods, as of `method_of`; None: the usual one.
    parameters
        Of its post-processor; by name, what is not named stays as usual; None: the usual ones.
    roi
        The part to segment, in grid steps; None: all. Only whole voxels of it count.

    Yields
    ------
    float
        Share that is done.

    Raises
    ------
    ConfigError
        Where there is no such method or parameter.
    DataError
        Where the prediction does not fit the task, or the region holds nothing of it.
    """
    way = method_of(built_task(prediction), method)
    chosen = chosen_parameters(way.post_processor, parameters)
    array = prediction.array if roi is None else prediction.array.window(roi)
    if not all(array.shape):
        raise DataError(
            f"The region {roi} holds no voxel of the prediction, which covers "
            f"{prediction.array.roi} ({prediction.array.unit.name}): choose another one."
        )
    with closing(way.post_processor.segment(array, chosen)) as steps:
        labels = yield from steps
    return Segmentation(labels, way, chosen, prediction.task)


def built_task(prediction: Prediction) -> Task:
    """Build the task of a prediction, with lengths in steps of its grid."""
    config = prediction.task
    return config.task_type(config.on_grid(prediction.array.unit))


def method_of(task: Task, name: int | str | None) -> Method:
    """Find a way from a prediction to a segmentation.

    Parameters
    ----------
    task
        Any.
    name
        Its index, its title or the first words of it, whatever their case; None: the usual one.

    Raises
    ------
    ConfigError
        Where there is none of that name, or no way at all.
    """
    methods = list(task.methods)
    if not methods:
        raise ConfigError(f"The task {task.config.name} has no way to make a segmentation.")
    if name is None:
        return methods[0]
    titles = [method.title for method in methods]
    if isinstance(name, str):
        wanted = name.strip().casefold()
        known = [title.casefold() for title in titles]
        if wanted in known:
            return methods[known.index(wanted)]
        beginning = [index for index, title in enumerate(known) if title.startswith(wanted)]
        if wanted and len(beginning) == 1:
            return methods[beginning[0]]
        guess = nearest(name, titles)
        ending = "" if guess.endswith("?") else "."
        raise ConfigError(f"The task {task.config.name} has no method {name}{guess}{ending}")
    if not 0 <= name < len(methods):
        raise ConfigError(
            f"The task {task.config.name} has no method number {name}: the first is 0, the last "
            f"{len(methods) - 1} ({', '.join(titles)})."
        )
    return methods[name]


def parameters_of(
    post_processor: PostProcessor[Any], overrides: Mapping[str, Any]
) -> PostProcessorParameters:
    """Change the usual parameters of a post-processor.

    Parameters
    ----------
    post_processor
        Any.
    overrides
        Values by name, as texts or as what they mean.

    Raises
    ------
    ConfigError
        Where a name is not known, with the nearest one that is, or a value is refused.
    """
    default: PostProcessorParameters = post_processor.default
    values = {**default.model_dump(), **overrides}
    kind = type(default)
    return validated(kind, values, "The parameters of the segmentation")


def chosen_parameters(
    post_processor: PostProcessor[Any], parameters: Parameters
) -> PostProcessorParameters:
    """Give parameters as they are, or the usual ones with changes by name."""
    if isinstance(parameters, PostProcessorParameters):
        kind: type[PostProcessorParameters] = type(post_processor.default)
        if not isinstance(parameters, kind):
            raise ConfigError(
                f"{type(parameters).__name__} belongs to another method: this one has "
                f"{kind.__name__}."
            )
        return parameters
    return parameters_of(post_processor, parameters or {})
