"""What training tells while it goes on, and what can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.runs.scores import Score


class Request(Enum):
    """What can be sent into `train` in answer to an event; it is done after the present step.

    `STOP` saves and ends with `Stopped`, in all processes of a training at the same step.
    """

    SNAPSHOT = "snapshot"
    VALIDATE = "validate"
    STOP = "stop"


@dataclass(frozen=True)
class Started:
    """Everything is ready, the first step comes next.

    Attributes
    ----------
    iteration
        Steps done before, above 0 where a run goes on.
    iterations
        Steps in the end.
    device
        Where it trains, in words.
    parameters
        Number of trained parameters.
    """

    iteration: int
    iterations: int
    device: str
    parameters: int


@dataclass(frozen=True)
class Stepped:
    """One step is done.

    Attributes
    ----------
    iteration
        Steps done, this one included.
    loss
        Loss of this step.
    seconds
        Time that it took.
    waited
        The part of it in which there was no data yet.
    learning_rate
        Of this step.
    """

    iteration: int
    loss: float
    seconds: float
    waited: float = 0.0
    learning_rate: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """What the network makes of one crop.

    Attributes
    ----------
    iteration
        Steps done.
    channels
        A name for each channel of target, weight and prediction.
    raw
        As the network sees it, of the input's shape, with channels.
    target, weight, prediction
        Of the output's shape, with channels.
    """

    iteration: int
    channels: list[str]
    raw: NumpyArray
    target: NumpyArray
    weight: NumpyArray
    prediction: NumpyArray


@dataclass(frozen=True)
class Validating:
    """A validation is under way."""

    iteration: int
    share: float


@dataclass(frozen=True)
class Validated:
    """What the network was worth on the crops that are kept for that.

    Attributes
    ----------
    iteration
        Steps done.
    score
        What is kept in the run folder of it.
    is_best
        Whether no validation before had a better one.
    """

    iteration: int
    score: Score
    is_best: bool


@dataclass(frozen=True)
class CheckpointSaved:
    """A checkpoint is whole on disk."""

    iteration: int
    path: Path


@dataclass(frozen=True)
class Finished:
    """All steps are done, or no better score is to be expected; the last checkpoint is saved."""

    iteration: int


@dataclass(frozen=True)
class Stopped:
    """Somebody asked for it, a checkpoint is saved, and nothing more comes."""

    iteration: int


@dataclass(frozen=True)
class Notice:
    """Something that the person should know, as one sentence."""

    text: str


TrainingEvent = (
    Started
    | Stepped
    | Snapshot
    | Validating
    | Validated
    | CheckpointSaved
    | Finished
    | Stopped
    | Notice
)
