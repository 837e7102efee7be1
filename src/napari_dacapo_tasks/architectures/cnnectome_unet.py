"""DaCapo's U-Net: its parameters, its shapes and, on request, the network itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from funlib.geometry import Coordinate
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from napari_dacapo_tasks.architectures import unet_proposal
from napari_dacapo_tasks.architectures.architecture import Architecture, finer
from napari_dacapo_tasks.architectures.unet_checks import faults
from napari_dacapo_tasks.architectures.unet_shapes import (
    AxisSizes,
    axes_of,
    misfit,
    nearest_shapes,
    output_shape,
)
from napari_dacapo_tasks.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    Shape = Coordinate
else:
    # A plain tuple to forms and files; validation makes it a Coordinate to calculate with.
    Shape = tuple[int, ...]

KERNELS_PER_LEVEL = 2
"""Convolutions of 3 voxels in each level where no kernels are given, as in DaCapo."""


class CNNectomeUNet(BaseModel, Architecture):
    """A U-Net (Ronneberger 2015) as CNNectome and DaCapo use it: both parameters and architecture.

    Names and defaults are those of DaCapo's ``CNNectomeUNetConfig``. Shapes, factors and kernels
    are in voxels, with one number per axis, ``z, y, x`` or ``y, x``. An input shape that does not
    fit is refused with the nearest shapes that do.

    Differs from DaCapo with ``padding="same"``: the output is as large as the input (times
    ``upsample_factors``), where DaCapo still crops feature maps as if nothing had been padded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sections: ClassVar[Mapping[str, Sequence[str]]] = {
        "Kernels": ("kernel_size_down", "kernel_size_up", "padding"),
        "Upsampling": ("upsample_factors", "constant_upsample"),
        "Further layers": ("use_attention", "batch_norm"),
    }
    """Headings of the form, with the fields beneath them."""

    name: str = Field(
        default="unet",
        min_length=1,
        title="Name",
        description="A name for this network; runs and files carry it.",
    )
    input_shape: Shape = Field(
        default=Coordinate(92, 92, 92),
        title="Input shape",
        description="Size of the pieces of raw data that the network sees in training, in voxels "
        "per axis. Larger pieces train more evenly and need more memory.",
    )
    fmaps_out: int = Field(
        default=12,
        ge=1,
        le=4096,
        title="Feature maps out",
        description="Number of feature maps that the network gives to the task's last layer.",
    )
    fmaps_in: int = Field(
        default=1,
        ge=1,
        le=4096,
        title="Channels in",
        description="Number of channels of the raw data; 1 for electron microscopy.",
    )
    num_fmaps: int = Field(
        default=12,
        ge=1,
        le=4096,
        title="Feature maps",
        description="Number of feature maps at full resolution. More can learn more, and cost "
        "time and memory.",
    )
    fmap_inc_factor: int = Field(
        default=3,
        ge=1,
        le=16,
        title="Feature map factor",
        description="Each level has this many times the feature maps of the level above it.",
    )
    downsample_factors: list[tuple[int, ...]] = Field(
        default=[(2, 2, 2), (2, 2, 2)],
        min_length=1,
        max_length=8,
        title="Downsampling",
        description="For each level, by how much each axis is made smaller. Use 1 for an axis "
        "that is coarser than the others. More levels see farther, and lose more at the border.",
    )
    kernel_size_down: list[list[tuple[int, ...]]] | None = Field(
        default=None,
        title="Kernels down",
        description="For each level on the way down, and the deepest, the size of every "
        "convolution. Left out: two of 3 voxels in each level.",
    )
    kernel_size_up: list[list[tuple[int, ...]]] | None = Field(
        default=None,
        title="Kernels up",
        description="For each level on the way up, the uppermost first, the size of every "
        "convolution. Left out: two of 3 voxels in each level.",
    )
    eval_shape_increase: Shape = Field(
        default=Coordinate(),
        validate_default=True,
        title="Larger in prediction",
        description="By how many voxels per axis the input is larger in prediction, which needs "
        "less memory than training. Left out: not at all.",
    )
    upsample_factors: list[tuple[int, ...]] = Field(
        default=[],
        title="Upsampling",
        description="Factors by which the output is finer than the raw data, one step after the "
        "other. Left out: as fine as the raw data.",
    )
    constant_upsample: bool = Field(
        default=True,
        title="Constant upsampling",
        description="Upsample by repeating voxels, then mixing the feature maps. Off: by a "
        "transposed convolution, which has more weights and may leave a checkerboard.",
    )
    padding: Literal["valid", "same"] = Field(
        default="valid",
        title="Padding",
        description="valid: the output is smaller than the input, and pieces fit together without "
        "a seam. same: the output is as large as the input, less certain at its border.",
    )
    use_attention: bool = Field(
        default=False,
        title="Attention",
        description="Let the deeper levels choose which places of the finer ones count.",
    )
    batch_norm: bool = Field(
        default=False,
        title="Batch normalisation",
        description="Normalise the feature maps over each batch after every convolution. Helps "
        "with large batches, and hurts with a batch size of 1.",
    )

    @model_validator(mode="before")
    @classmethod
    def _dacapo_spelling(cls, values: Any) -> Any:
        """Read what DaCapo writes: an underscore in one name, and null for what is left out."""
        if not isinstance(values, Mapping):
            return values
        values = dict(values)
        if "_eval_shape_increase" in values:
            values.setdefault("eval_shape_increase", values.pop("_eval_shape_increase"))
        for name in ("eval_shape_increase", "upsample_factors"):
            if values.get(name, ...) is None:
                del values[name]
        return values

    @field_validator("input_shape", "eval_shape_increase")
    @classmethod
    def _as_coordinate(cls, shape: tuple[int, ...]) -> Coordinate:
        return Coordinate(shape)

    @field_validator("input_shape")
    @classmethod
    def _two_or_three_axes(cls, shape: Coordinate) -> Coordinate:
        if len(shape) not in (2, 3) or min(shape) < 1:
            raise ValueError(
                f"{tuple(shape)} is no input shape: give two or three sizes of at least 1 voxel"
            )
        return shape

    @field_validator("eval_shape_increase")
    @classmethod
    def _no_increase_is_zero(cls, increase: Coordinate, info: ValidationInfo) -> Coordinate:
        dims = len(info.data.get("input_shape", ()))
        if not any(increase):
            return Coordinate((0,) * dims)
        if dims and (len(increase) != dims or min(increase) < 0):
            raise ValueError(f"{tuple(increase)} must be {dims} sizes of at least 0 voxels")
        return increase

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Refuse fields that do not go together, with the one to mend as the error's place."""
        for field, sentence in faults(self):
            error = PydanticCustomError("unet", "{sentence}", {"sentence": sentence})
            raise ValidationError.from_exception_data(
                type(self).__name__,
                [{"type": error, "loc": (field,), "input": getattr(self, field)}],
            )
        return self

    @property
    def kernels_down(self) -> list[list[tuple[int, ...]]]:
        """Kernels of every level on the way down, the deepest last."""
        if self.kernel_size_down is not None:
            return self.kernel_size_down
        return [[(3,) * self.dims] * KERNELS_PER_LEVEL] * (len(self.downsample_factors) + 1)

    @property
    def kernels_up(self) -> list[list[tuple[int, ...]]]:
        """Kernels of every level on the way up, the uppermost first."""
        if self.kernel_size_up is not None:
            return self.kernel_size_up
        return [[(3,) * self.dims] * KERNELS_PER_LEVEL] * len(self.downsample_factors)

    @property
    def axes(self) -> tuple[AxisSizes, ...]:
        """What the network does to the sizes of each axis."""
        return axes_of(
            self.downsample_factors,
            self.kernels_down,
            self.kernels_up,
            padded=self.padding == "same",
            upsample_factors=self.upsample_factors,
        )

    @property
    def num_in_channels(self) -> int:
        """Number of channels of the input."""
        return self.fmaps_in

    @property
    def num_out_channels(self) -> int:
        """Number of feature maps that the prediction head gets."""
        return self.fmaps_out

    @property
    def context(self) -> Coordinate:
        """Input minus output, per axis, in voxels of the output; the same for every input shape.

        The output begins ``context // 2`` voxels into the input. It is odd for some nets that
        downsample by 3: the network then sees one voxel more behind than before.
        """
        return Coordinate(axis.context for axis in self.axes)

    def fits(self, shape: Sequence[int]) -> bool:
        """Say whether ``shape`` can be an input shape."""
        return misfit(self.axes, shape) is None

    def nearest_valid_shapes(self, shape: Sequence[int]) -> tuple[Coordinate, Coordinate]:
        """Nearest input shapes that fit, the smaller and the larger one, axis by axis.

        A size that fits stays in both; one below the smallest that fits becomes that in both.
        """
        return nearest_shapes(self.axes, shape)

    def compute_output_shape(self, input_shape: Sequence[int]) -> Coordinate:
        """Shape of the output for an input shape; ConfigError if that does not fit."""
        return output_shape(self.axes, input_shape)

    def scale(self, voxel_size: Coordinate) -> Coordinate:
        """Voxel size of the output: the input's divided by all ``upsample_factors``.

        ConfigError if that is no whole number of world units.
        """
        return finer(voxel_size, [math.prod(axis.upsample) for axis in self.axes])

    def module(self) -> nn.Module:
        """Build the network with fresh Kaiming weights; imports torch."""
        from napari_dacapo_tasks.architectures.unet_module import CNNectomeUNetModule

        return CNNectomeUNetModule(self)

    @classmethod
    def propose(
        cls,
        voxel_size: Sequence[float],
        shape: Sequence[int],
        fmaps_in: int = 1,
        num_fmaps: int = 12,
        fmap_inc_factor: int = 3,
        max_voxels: int | None = None,
        name: str = "unet",
    ) -> Self:
        """Propose a U-Net for data of this voxel size and shape.

        Axes are halved up to three times. An axis more than twice as coarse as the finest is left
        alone (factor and kernel of 1) until the others have come to its scale. The input is the
        largest that fits inside the data, about as long in the world on every axis.

        It is unpadded if its output is at least a third of its input along every axis; else there
        are fewer levels, and where the data is too small even for one, "same" padding.

        Parameters
        ----------
        voxel_size
            Of the raw data, per axis, in any unit.
        shape
            Of the raw data, spatial axes only, in voxels: two or three.
        fmaps_in
            Number of channels of the raw data.
        num_fmaps
            Feature maps at full resolution; also those that the prediction head gets.
        fmap_inc_factor
            Factor between the feature maps of two levels.
        max_voxels
            Voxels of the input at most; by default 2 million in 3D and 512 x 512 in 2D.
        name
            A name for the network.

        Raises
        ------
        ConfigError
            If the data is neither 2D nor 3D, is empty, or its voxel size is not positive.
        """
        dims = len(shape)
        if dims not in (2, 3) or len(voxel_size) != dims:
            raise ConfigError(
                f"A U-Net needs data of two or three axes with a voxel size for each, not shape "
                f"{tuple(shape)} with voxel size {tuple(voxel_size)}."
            )
        if min(shape) < 1 or not all(0 < size < math.inf for size in voxel_size):
            raise ConfigError(
                f"No U-Net fits data of shape {tuple(shape)} and voxel size {tuple(voxel_size)}: "
                "both must be above 0 on every axis."
            )
        proposal = unet_proposal.propose(
            voxel_size, shape, max_voxels or unet_proposal.MOST_VOXELS[dims]
        )
        default_kernels = proposal.all_kernels_are_3
        return cls(
            name=name,
            input_shape=proposal.input_shape,
            fmaps_out=num_fmaps,
            fmaps_in=fmaps_in,
            num_fmaps=num_fmaps,
            fmap_inc_factor=fmap_inc_factor,
            downsample_factors=proposal.downsample_factors,
            kernel_size_down=None if default_kernels else proposal.kernel_size_down,
            kernel_size_up=None if default_kernels else proposal.kernel_size_up,
            padding=proposal.padding,
        )
