"""Networks with random weights, images for them, and what they answer in one go."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from funlib.geometry import Coordinate
from numpy.typing import NDArray
from torch import nn

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.prediction.trained import TrainedModel
from napari_dacapo_tasks.tasks import DistanceTaskConfig, TaskConfig
from napari_dacapo_tasks.units import NANOMETRE, WorldUnit

SMALL: dict[str, Any] = {"num_fmaps": 2, "fmap_inc_factor": 2, "fmaps_out": 2}

FLAT = CNNectomeUNet(input_shape=(44, 44), downsample_factors=[(2, 2), (2, 2)], **SMALL)
SOLID = CNNectomeUNet(input_shape=(24, 24, 24), downsample_factors=[(2, 2, 2)], **SMALL)
PADDED = CNNectomeUNet(input_shape=(24, 24), downsample_factors=[(2, 2)], padding="same", **SMALL)


def distances(*channels: str) -> TaskConfig:
    """Give a task with a channel for each kind of object."""
    return DistanceTaskConfig(
        name="distances",
        channels=list(channels or ("one", "two")),
        clip_distance=50.0,
        tol_distance=10.0,
        scale_factor=50.0,
    )


def trained(
    architecture: CNNectomeUNet, task: TaskConfig | None = None, **more: Any
) -> TrainedModel:
    """Give a network whose weights are strong enough to show what a seam would do."""
    task = task or distances()
    torch.manual_seed(0)
    model = task.task_type(task).predictor.create_model(architecture)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    values: dict[str, Any] = {
        "name": "random",
        "intensity_range": (0.0, 255.0),
        "voxel_size": (10.0,) * architecture.dims,
        "unit": "nm",
        **more,
    }
    return TrainedModel(
        task=task, architecture=architecture, weights=model.chain.state_dict(), **values
    )


def image(
    *shape: int,
    offset: tuple[int, ...] | None = None,
    size: int | tuple[int, ...] = 10,
    unit: WorldUnit = NANOMETRE,
    channels: int | None = None,
) -> NumpyArray:
    """Give noise of uint8, without channels unless there shall be some."""
    lead = () if channels is None else (channels,)
    values = np.random.default_rng(1).integers(0, 256, (*lead, *shape), np.uint8)
    sizes = (size,) * len(shape) if isinstance(size, int) else size
    return NumpyArray(
        values,
        axes=("c", "z", "y", "x")[-len(shape) - len(lead) :]
        if channels is None
        else ("c", *("z", "y", "x")[-len(shape) :]),
        voxel_size=Coordinate(sizes),
        offset=offset,
        unit=unit,
    )


def in_one(network: TrainedModel, raw: Array, beyond: bool = False) -> NDArray[np.float32]:
    """Give what the network answers to all of an image at once.

    Beyond the edges the image is mirrored, by whole steps of the network before it, or else the
    answer is shorter, and rests on as many whole steps as there are.
    """
    model, tiles = network.build(), network.tiles
    seen = raw[raw.roi].astype(np.float32) / 127.5 - 1
    seen = seen if raw.num_channels is not None else seen[None]
    context, factor = tiles.context, tiles.factor
    step = [s // f for s, f in zip(tiles.step, factor, strict=True)]
    lengths = list(raw.shape)
    before = [0] * len(lengths)
    if beyond:
        around = [
            -(-(c // 2 + m) // f) for c, m, f in zip(context, tiles.margin, factor, strict=True)
        ]
        before = [-(-n // s) * s for n, s in zip(around, step, strict=True)]
        lengths = [
            n + b + a + c for n, b, a, c in zip(lengths, before, around, context, strict=True)
        ]
    fitting = [
        axis.at_least(n) if beyond else axis.at_most(n)
        for axis, n in zip(network.architecture.axes, lengths, strict=True)
    ]
    if beyond:
        after = [f - b - n for f, b, n in zip(fitting, before, raw.shape, strict=True)]
        seen = np.pad(seen, [(0, 0), *zip(before, after, strict=True)], mode="reflect")
    else:
        seen = seen[(slice(None), *(slice(0, n) for n in fitting))]
    with torch.no_grad():
        answer = model(torch.from_numpy(np.ascontiguousarray(seen))[None])[0].numpy()
    if not beyond:
        return answer
    inside = tuple(
        slice(b * f - c // 2, b * f - c // 2 + n * f)
        for b, c, f, n in zip(before, context, factor, raw.shape, strict=True)
    )
    found: NDArray[np.float32] = answer[(slice(None), *inside)]
    return found
