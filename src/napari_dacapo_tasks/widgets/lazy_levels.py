"""What napari slices of a lazy image: its levels, looked up only when they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Self

import numpy as np
from napari.layers._multiscale_data import MultiScaleData
from numpy.typing import NDArray

from napari_dacapo_tasks.widgets.lazy_image import Bounds, LazyImage


class LazyLevel:
    """A level, or a part of one, that is looked up only when it becomes a NumPy array."""

    def __init__(self, image: LazyImage, level: int, bounds: Bounds, thin: Sequence[bool]) -> None:
        self._image, self._level = image, level
        self._bounds, self._thin = bounds, tuple(thin)

    @classmethod
    def whole(cls, image: LazyImage, level: int, shape: Sequence[int]) -> Self:
        """Give a whole level."""
        return cls(image, level, tuple((0, n) for n in shape), (False,) * len(shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._image.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        pairs = zip(self._bounds, self._thin, strict=True)
        return tuple(high - low for (low, high), thin in pairs if not thin)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any, /) -> Any:
        keys = iter(key if isinstance(key, tuple) else (key,))
        bounds, thin = list(self._bounds), list(self._thin)
        for axis, (low, high) in enumerate(self._bounds):
            if self._thin[axis]:
                continue
            one = next(keys, slice(None))
            if isinstance(one, slice):
                start, stop, step = one.indices(high - low)
                assert step == 1, "parts are whole"
                bounds[axis] = (low + start, low + max(start, stop))
            else:
                at = int(one) + (high - low if one < 0 else 0)
                bounds[axis], thin[axis] = (low + at, low + at + 1), True
        return LazyLevel(self._image, self._level, tuple(bounds), thin)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        values = self._image.read(self._level, self._bounds)
        values = values.reshape(self.shape)
        return values if dtype is None else values.astype(dtype, copy=False)


class LazyColours:
    """Three channels of a level as red, green and blue along a last axis."""

    def __init__(self, level: LazyLevel, channels: slice) -> None:
        self._level = level[channels]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._level.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        first, *space = self._level.shape
        return (*space, first)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any, /) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        space = self._level.ndim - 1
        part = LazyColours(self._level[(slice(None), *keys[:space])], slice(None))
        if len(keys) <= space or keys[-1] == slice(None):
            return part
        return np.asarray(part)[..., keys[-1]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        values = np.moveaxis(np.asarray(self._level), 0, -1)
        return values if dtype is None else values.astype(dtype, copy=False)


class LazyData(MultiScaleData):
    """What a layer shows of a lazy image: its levels, the overview last."""

    def __init__(self, image: LazyImage, levels: Sequence[Any] | None = None) -> None:
        if levels is None:
            levels = [LazyLevel.whole(image, i, shape) for i, shape in enumerate(image.shapes)]
            # A level as coarse as the overview shows no more, and would be read for it.
            levels = [one for one in levels if one.size > image.overview.size] or levels[:1]
            levels = [*levels, image.overview]
        super().__init__(levels)
        self.image = image

    def channel(self, index: int) -> LazyData:
        """Give one channel."""
        return LazyData(self.image, [level[index] for level in self])

    def colours(self, channels: slice) -> LazyData:
        """Give three channels as red, green and blue."""
        *lazy, overview = self
        colours = [LazyColours(level, channels) for level in lazy]
        return LazyData(self.image, [*colours, np.moveaxis(overview[channels], 0, -1)])
