"""A network as a program that PyTorch can store, for inputs of any shape that fits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import count
from math import ceil, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_dacapo_tasks.architectures.unet_module import CNNectomeUNetModule
from napari_dacapo_tasks.errors import ConfigError

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import CNNectomeUNet, Model

ANSWERED = 16
"""Voxels along each axis that a network answers for where it is only tried."""

TRIES = 4
"""Sizes to try before a program is said to take too large inputs only."""

AGREES = 1e-4
"""By how much a program may differ from its network: rounding, in other orders of summation."""


class Program(nn.Module):
    """A model without the checks of shapes, which a stored program cannot make.

    Parameters
    ----------
    model
        Any, in eval mode.
    intensity_range
        Raw values that the network sees as -1 and 1, for a program that takes raw values; left
        out for one that takes what the network sees.
    """

    def __init__(self, model: Model, intensity_range: tuple[float, float] | None = None) -> None:
        super().__init__()
        body = model.chain[0]
        self.body = body.unet if isinstance(body, CNNectomeUNetModule) else body
        self.head = model.prediction_head
        self.activation = model.eval_activation or nn.Identity()
        self.intensity_range = intensity_range

    def forward(self, raw: Tensor) -> Tensor:
        """Map ``(batch, channels, *shape)`` to the prediction, ``(batch, channels, *shape)``."""
        if self.intensity_range is not None:
            low, high = self.intensity_range
            raw = (raw - low) * (2 / (high - low)) - 1
        answer: Tensor = self.activation(self.head(self.body(raw)))
        return answer


def try_shapes(architecture: CNNectomeUNet) -> Iterator[list[int]]:
    """Give shapes of inputs to try a network with, small ones first and each different."""
    axes = architecture.axes
    for number in count():
        yield [
            axis.at_least(ceil((ANSWERED + axis.context) / prod(axis.upsample)))
            + (number + (position if number else 0)) * axis.step
            for position, axis in enumerate(axes)
        ]


def traced(program: Program, architecture: CNNectomeUNet) -> Any:
    """Give a program of TorchScript, which other programs can run without Python."""
    example = _example(program, architecture, next(try_shapes(architecture)))
    with torch.no_grad(), _quiet():
        return torch.jit.trace(program, example, check_trace=False)  # type: ignore[no-untyped-call]


def exported(program: Program, architecture: CNNectomeUNet) -> Any:
    """Give a program of ``torch.export``, which later versions of PyTorch run."""
    shapes = try_shapes(architecture)
    next(shapes)
    # Two of a batch, and no two axes alike: PyTorch takes sizes that it meets once, or 1, as fixed.
    example = _example(program, architecture, next(shapes)).expand(
        2, *([-1] * (architecture.dims + 1))
    )
    free: dict[int, Any] = {0: torch.export.Dim("batch", min=1)}
    for place, axis in enumerate(architecture.axes):
        steps = torch.export.Dim(f"steps_{'zyx'[-architecture.dims :][place]}", min=1)
        beyond = axis.minimum % axis.step
        size = steps if axis.step == 1 else axis.step * steps
        free[2 + place] = size + beyond if beyond else size
    with torch.no_grad(), _quiet():
        return torch.export.export(program, (example.contiguous(),), dynamic_shapes=(free,))


def save_script(script: Any, path: Path, about: dict[str, str] | None = None) -> None:
    """Write a program of TorchScript, with texts by name."""
    content = BytesIO()  # PyTorch's own writer does not say what is wrong with a disk
    with _quiet():
        torch.jit.save(script, content, _extra_files=about or {})
    path.write_bytes(content.getvalue())


def save_exported(made: Any, path: Path, about: dict[str, str]) -> None:
    """Write a program of ``torch.export``, with texts by name."""
    content = BytesIO()
    torch.export.save(made, content, extra_files=about)
    path.write_bytes(content.getvalue())


def load_script(path: Path) -> Any:
    """Read a program of TorchScript, to run it: only one that was written here."""
    with _quiet():
        return torch.jit.load(str(path))  # type: ignore[no-untyped-call]


def least_shape(stored: Any, program: Program, architecture: CNNectomeUNet) -> list[int]:
    """Give the smallest input that a stored program takes; raises ConfigError where that is none.

    PyTorch takes an axis of a single voxel for something else, wherever in the network it is, so
    that a program of ``torch.export`` may refuse inputs that the network takes.
    """
    for number in range(TRIES):
        shape = [axis.minimum + number * axis.step for axis in architecture.axes]
        try:
            with torch.no_grad():
                stored(_example(program, architecture, shape))
        except (AssertionError, RuntimeError):
            continue
        return shape
    raise ConfigError(
        "PyTorch can store this network only for larger inputs than it needs: choose TorchScript, "
        "with a name that ends in .pt."
    )


def require_same(stored: Any, program: Program, architecture: CNNectomeUNet, what: str) -> None:
    """Raise ConfigError where a stored program does not answer what its network answers."""
    shapes = try_shapes(architecture)
    for _ in range(2):
        raw = _example(program, architecture, next(shapes))
        with torch.no_grad():
            wanted, found = program(raw), stored(raw)
        if wanted.shape != found.shape or not torch.allclose(
            wanted, found, rtol=AGREES, atol=AGREES
        ):
            raise ConfigError(
                f"{what} of this network does not answer what the network answers, so it was not "
                "kept: choose another format."
            )


def made_up_raw(
    architecture: CNNectomeUNet, shape: Sequence[int], intensity_range: tuple[float, float]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Give something like raw data, ``(channels, *shape)``: noise between the usual values."""
    low, high = intensity_range
    noise = np.random.default_rng(0).uniform(low, high, (architecture.fmaps_in, *shape))
    return noise.astype(np.float32)


def _example(program: Program, architecture: CNNectomeUNet, shape: Sequence[int]) -> Tensor:
    values = made_up_raw(architecture, shape, program.intensity_range or (-1.0, 1.0))
    return torch.from_numpy(values)[None]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what PyTorch says to those who write programs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
