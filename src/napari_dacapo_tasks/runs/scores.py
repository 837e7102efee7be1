"""What validations find, as ``scores.jsonl`` keeps it: a line a validation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """What one validation found.

    Attributes
    ----------
    iteration
        Steps done before it.
    criterion
        Name of the score that says what is best.
    value
        That score, averaged over channels and crops; NaN where it is not defined.
    loss
        The task's loss on the validation crops.
    scores
        By crop, channel and criterion; lengths in nanometres (voxels without a unit).
    method
        Title of the way from prediction to segmentation that was scored.
    seconds
        Time that it took.
    """

    iteration: int
    criterion: str
    value: float
    loss: float
    scores: dict[str, dict[str, dict[str, float]]]
    method: str
    seconds: float
