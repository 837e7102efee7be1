"""Averaging over mirrored views of what is predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from torch import Tensor


def mirrored_mean(network: Callable[[Tensor], Tensor], raw: Tensor, axes: Sequence[int]) -> Tensor:
    """Average what a network answers to all mirrored views, each turned back.

    Parameters
    ----------
    network
        Maps ``(batch, channels, *shape)`` to the same axes.
    raw
        What it sees.
    axes
        Spatial axes that are mirrored; along each the network must see as far before an answer
        as behind it, since the views would not lie on each other otherwise.
    """
    views = list(product(*((False, True) for _ in axes)))
    total: Tensor | None = None
    for view in views:
        back = [axis + 2 for axis, mirrored in zip(axes, view, strict=True) if mirrored]
        answer = network(raw.flip(back) if back else raw).float()
        answer = answer.flip(back) if back else answer
        total = answer if total is None else total.add_(answer)
    assert total is not None, "one view is the plain one"
    return total.div_(len(views))
