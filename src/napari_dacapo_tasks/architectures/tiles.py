"""A network on more voxels than it takes at once, tile by tile and without seams.

Without padding a network answers for fewer voxels than it sees, and the same for a voxel whatever
tile it lies in, if tiles begin at multiples of its downsampling: so all tiles together are what a
single large one would give. With padding, what it answers near the border of a tile rests on
made-up surroundings: there tiles overlap, as far as it sees or as may be spared, and in the
overlap go over into each other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import product
from math import ceil, prod

import numpy as np
import torch
from funlib.geometry import Coordinate
from numpy.typing import NDArray

from napari_dacapo_tasks.architectures.cnnectome_unet import CNNectomeUNet
from napari_dacapo_tasks.architectures.model import Model, in_eval_mode
from napari_dacapo_tasks.architectures.tile_axes import AxisTile, TileAxis
from napari_dacapo_tasks.errors import DataError

OVERLAP = 0.25
"""Share of a tile, along each axis, that a padded network's tile has in common with the next."""

_FINE = 2**10 * 3**5 * 5**3 * 7
"""A voxel size that the usual factors of upsampling divide."""


class Tiles:
    """How a model goes over data; shapes are spatial.

    Parameters
    ----------
    model
        Any.
    input_shape
        Of the largest tiles, in voxels of the raw data; by default its ``eval_input_shape``. What
        does not fit the network, or is too small for its step, becomes a little larger.

    Attributes
    ----------
    factor
        Voxels of the output for one of the raw data, per axis.
    context
        By how much an output is shorter than its input, per axis and in voxels of the output. It
        begins half of that, rounded down, into the input.
    step
        The begins of tiles are multiples of this, in voxels of the output.
    margin
        By how much more raw data around improves the answers at the border, in voxels of the
        output.
    largest
        Shape of the largest inputs, in voxels of the raw data.
    blends
        Whether tiles go over into each other, since none has room for all that the network sees.
    """

    def __init__(self, model: Model, input_shape: Sequence[int] | None = None) -> None:
        architecture = model.architecture
        shape = Coordinate(model.eval_input_shape if input_shape is None else input_shape)
        sizes = model.scale(Coordinate((_FINE,) * len(shape)))
        self.factor = Coordinate(_FINE // size for size in sizes)
        kernel = getattr(model.prediction_head, "kernel_size", 1)
        kernels = kernel if isinstance(kernel, tuple) else (kernel,) * len(shape)
        head = Coordinate(size // 2 for size in kernels)
        if isinstance(architecture, CNNectomeUNet):
            self._axes = _axes_of_unet(architecture, shape, head)
        else:
            _, output = model.compute_output_shape(shape)
            context = shape * self.factor - output
            blends = not any(context)
            margin = shape * self.factor if blends else head
            self._axes = [
                _limited(TileAxis(f, c, f, n, m, blends, partial(max, n)))
                for f, c, n, m in zip(self.factor, context, shape, margin, strict=True)
            ]
        self.context = Coordinate(axis.context for axis in self._axes)
        self.step = Coordinate(axis.step for axis in self._axes)
        self.margin = Coordinate(axis.margin for axis in self._axes)
        self.largest = Coordinate(axis.longest for axis in self._axes)
        self.blends = any(axis.blends for axis in self._axes)

    def output_shape(self, input_shape: Sequence[int]) -> Coordinate:
        """Shape of the prediction of raw data; below 1 where there is too little of it."""
        return Coordinate(
            axis.answer(size) for axis, size in zip(self._axes, input_shape, strict=True)
        )

    def input_shape(self, output_shape: Sequence[int]) -> Coordinate:
        """Shape of raw data for a prediction of at least a shape, in whole steps."""
        return Coordinate(
            axis.input_for(size) for axis, size in zip(self._axes, output_shape, strict=True)
        )

    def answered_shape(self, input_shape: Sequence[int]) -> Coordinate:
        """Shape of the prediction that rests on raw data alone, and on nothing beyond its end."""
        return Coordinate(
            axis.answered(size) for axis, size in zip(self._axes, input_shape, strict=True)
        )

    def cover(
        self, begin: Sequence[int], end: Sequence[int], input_shape: Sequence[int], beyond: bool
    ) -> tuple[list[int], list[tuple[AxisTile, ...]]]:
        """Lay tiles over a part of the prediction; give the shape of every input, and the tiles.

        The answer for a voxel depends neither on the part that it is asked for in nor, unless
        they blend, on the size of tiles; but for rounding.

        Parameters
        ----------
        begin, end
            Of the part, in voxels of the output from the begin of the raw data.
        input_shape
            Of all raw data.
        beyond
            Whether inputs may begin before the raw data and end after it.
        """
        sizes, tiles = [], []
        for axis, b, e, n in zip(self._axes, begin, end, input_shape, strict=True):
            ahead = axis.context // 2
            low, high = (-ahead, n * axis.factor - ahead) if beyond else (0, axis.answered(n))
            size, along = axis.cover(b - ahead, e - ahead, low, high, beyond)
            sizes.append(size)
            tiles.append(along)
        return sizes, list(product(*tiles))

    def predict(
        self,
        model: Model,
        raw: NDArray[np.float32],
        *,
        activate: bool = True,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Generator[float, None, NDArray[np.float32]]:
        """Predict tile by tile; to cancel, leave the generator.

        Parameters
        ----------
        model
            The one that the tiles are for, on the device that shall do it. Its mode comes back.
        raw
            ``(channels, *shape)``, between about -1 and 1. Where it does not hold whole steps, its
            last voxels are mirrored for what is missing.
        activate
            Whether the result is what segmentations are made of, rather than what losses take.
        autocast
            Gives the context for a forward pass.

        Yields
        ------
        float
            Share that is done, before each tile.

        Returns
        -------
        numpy.ndarray
            ``(channels, *output_shape(shape))``.

        Raises
        ------
        DataError
            Where there is too little raw data, or it has other channels than the network takes.
        """
        channels, *shape = raw.shape
        wanted = self.output_shape(shape)
        if channels != model.num_in_channels:
            raise DataError(
                f"The raw data has {channels} channels, but the network takes "
                f"{model.num_in_channels}: choose data like that it was trained with."
            )
        if min(wanted) < 1:
            raise DataError(
                f"Raw data of {_by(shape)} voxels is too small for the network, which sees "
                f"{_by(self.context)} voxels more than it answers for: choose a larger region."
            )
        laid = [axis.lay(size) for axis, size in zip(self._axes, wanted, strict=True)]
        sizes = [size for size, _ in laid]
        result = np.zeros((model.num_out_channels, *wanted), np.float32)
        count = prod(len(tiles) for _, tiles in laid)
        for done, tile in enumerate(product(*(tiles for _, tiles in laid))):
            yield done / count
            begins = [part.begin for part in tile]
            answer = _forward(model, _cut(raw, begins, sizes), activate, autocast)
            answer = answer[(slice(None), *(part.within for part in tile))]
            place = (slice(None), *(part.output for part in tile))
            shares = [part.share for part in tile]
            if all(share is None for share in shares):
                result[place] = answer
                continue
            for axis, share in enumerate(shares):
                if share is not None:
                    answer = answer * share.reshape(-1, *(1,) * (len(shares) - 1 - axis))
            result[place] += answer
        return result


def _forward(
    model: Model,
    raw: NDArray[np.float32],
    activate: bool,
    autocast: Callable[[], AbstractContextManager[object]],
) -> NDArray[np.float32]:
    # Modes are those of the thread, or of the model, so they must not outlast a step.
    with in_eval_mode(model), torch.no_grad(), autocast():
        parameter = next(model.parameters(), torch.empty(0))
        batch = torch.from_numpy(raw).to(parameter.device)[None]
        answer = model(batch) if activate else model.chain(batch)
    found: NDArray[np.float32] = answer[0].float().cpu().numpy()
    return found


def _cut(
    raw: NDArray[np.float32], begins: Sequence[int], sizes: Sequence[int]
) -> NDArray[np.float32]:
    """Give a part of raw data, mirrored at its end where it does not reach."""
    places = (slice(begin, begin + size) for begin, size in zip(begins, sizes, strict=True))
    part = raw[(slice(None), *places)]
    missing = [size - found for size, found in zip(sizes, part.shape[1:], strict=True)]
    if any(missing):
        return np.pad(part, [(0, 0), *((0, n) for n in missing)], mode="reflect")
    return np.ascontiguousarray(part)


def _axes_of_unet(
    architecture: CNNectomeUNet, shape: Coordinate, head: Coordinate
) -> list[TileAxis]:
    padded = architecture.padding == "same"
    # Its gates are padded even where nothing else is.
    blends = padded or architecture.use_attention
    unpadded = architecture.model_copy(update={"padding": "valid"})
    axes = []
    for axis, seen, size, beyond in zip(
        architecture.axes, unpadded.context, shape, head, strict=True
    ):
        factor = prod(axis.upsample)
        step = axis.step * factor
        margin = ceil(seen / 2) + beyond if blends else beyond
        # A tile must be longer than what its neighbours do not leave to it.
        least = step if blends else step + 2 * margin
        longest = axis.at_least(max(size, ceil((least + axis.context) / factor)))
        axes.append(
            _limited(TileAxis(factor, axis.context, step, longest, margin, blends, axis.at_least))
        )
    return axes


def _limited(axis: TileAxis) -> TileAxis:
    """Limit the overlap of tiles that blend; where there is room for all of it, they need not."""
    room = int(OVERLAP * axis.answer(axis.longest)) // 2
    if not axis.blends:
        return axis
    return replace(axis, margin=min(axis.margin, room), blends=axis.margin > room)


def _by(shape: Sequence[int]) -> str:
    return " x ".join(str(size) for size in shape)
