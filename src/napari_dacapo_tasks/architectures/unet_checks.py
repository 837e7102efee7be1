"""What the fields of a U-Net have to agree on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from napari_dacapo_tasks.architectures.unet_shapes import misfit, nearest_shapes

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures.cnnectome_unet import CNNectomeUNet


def faults(unet: CNNectomeUNet) -> Iterator[tuple[str, str]]:
    """Name the field to mend and say why, one fault after the other.

    What comes later makes sense only where nothing came before.
    """
    levels = len(unet.downsample_factors)
    yield from _bad_factors(unet, "downsample_factors", unet.downsample_factors)
    yield from _bad_factors(unet, "upsample_factors", unet.upsample_factors)
    yield from _bad_kernels(unet, "kernel_size_down", unet.kernel_size_down, levels + 1)
    yield from _bad_kernels(unet, "kernel_size_up", unet.kernel_size_up, levels)
    yield from _bad_shapes(unet)


def _bad_factors(
    unet: CNNectomeUNet, field: str, rows: list[tuple[int, ...]]
) -> Iterator[tuple[str, str]]:
    for row in rows:
        if len(row) != unet.dims or min(row) < 1:
            yield (
                field,
                f"{tuple(row)} must be {unet.dims} whole numbers of at least 1, one for each "
                f"axis of the input shape {tuple(unet.input_shape)}.",
            )


def _bad_kernels(
    unet: CNNectomeUNet, field: str, kernels: list[list[tuple[int, ...]]] | None, levels: int
) -> Iterator[tuple[str, str]]:
    if kernels is None:
        return
    if len(kernels) != levels or not all(kernels):
        yield (
            field,
            f"{len(unet.downsample_factors)} downsamplings need {levels} lists of kernels here, "
            f"none of them empty, not {kernels}.",
        )
    for kernel in (kernel for level in kernels for kernel in level):
        yield from _bad_factors(unet, field, [kernel])
        if unet.padding == "same" and any(size % 2 == 0 for size in kernel):
            yield (
                field,
                f'Kernel {tuple(kernel)} has an even size, which padding "same" cannot centre: '
                'use odd sizes or padding "valid".',
            )


def _bad_shapes(unet: CNNectomeUNet) -> Iterator[tuple[str, str]]:
    sentence = misfit(unet.axes, unet.input_shape)
    if sentence is not None:
        yield "input_shape", sentence
    in_prediction = unet.input_shape + unet.eval_shape_increase
    if misfit(unet.axes, in_prediction) is not None:
        smaller, larger = (
            tuple(shape - unet.input_shape) for shape in nearest_shapes(unet.axes, in_prediction)
        )
        yield (
            "eval_shape_increase",
            f"An input that is larger by {tuple(unet.eval_shape_increase)} in prediction does not "
            f"fit this U-Net; the nearest increases that do are {smaller} and {larger}.",
        )
    deepest = [
        axis.deepest_size(size) for axis, size in zip(unet.axes, unet.input_shape, strict=True)
    ]
    if unet.batch_norm and deepest == [1] * unet.dims:
        yield (
            "input_shape",
            f"An input of shape {tuple(unet.input_shape)} leaves a single voxel at the deepest "
            "level, which cannot be normalised: take a larger input or switch batch_norm off.",
        )
