"""Brightness, contrast, gamma, noise and blur of raw data.

The changes are those that nnU-Net trains with. They are made with NumPy and SciPy: nnU-Net's own
`batchgeneratorsv2` draws from random states that the whole program shares, in which threads disturb
each other, and where its parameters are handed in, its gamma and contrast still differ in the last
bit with the number of PyTorch's threads. A crop must be the same whichever thread makes it. Its
blur counts in voxels, not in lengths, and takes six times as long as SciPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

BRIGHTNESS = 0.2
"""Largest change, where raw data reaches from -1 to 1."""

CONTRAST = (0.7, 1.4)
"""Factors on the distance from the mean."""

GAMMA = (0.7, 1.5)
"""Exponents, with 0 at the darkest and 1 at the brightest voxel."""

NOISE = 0.1
"""Largest standard deviation, where raw data reaches from -1 to 1."""

BLUR = (0.3, 1.0)
"""Standard deviations, in voxels along the axis with the smallest ones."""

LEAST_BLUR = 0.15
"""Voxels along an axis under which there is nothing to blur: neighbours would get no share."""

REACH = 3.0
"""Standard deviations at which blur ends."""


@dataclass(frozen=True)
class Intensity:
    """Changes of intensity, None for those that do not happen.

    Attributes
    ----------
    blur
        Standard deviation along each axis, in voxels.
    gamma
        Exponent.
    contrast, brightness
        Factor about the mean, and what is added.
    noise
        Standard deviation.
    noise_seed
        Decides the noise.
    """

    blur: tuple[float, ...] | None = None
    gamma: float | None = None
    contrast: float | None = None
    brightness: float | None = None
    noise: float | None = None
    noise_seed: int = 0

    @classmethod
    def draw(
        cls, random: np.random.Generator, probability: float, voxel_size: Sequence[float]
    ) -> Self:
        """Draw changes, each with a probability; blur is as wide along all axes of the world."""
        happens = random.random(5) < probability
        where = random.random(5)
        seed = int(random.integers(2**63))
        smallest = min(voxel_size)
        sigma = _between(BLUR, where[0]) * smallest
        blur = tuple(float(sigma / size) for size in voxel_size)
        return cls(
            blur if happens[0] else None,
            _between(GAMMA, where[1]) if happens[1] else None,
            _between(CONTRAST, where[2]) if happens[2] else None,
            _between((-BRIGHTNESS, BRIGHTNESS), where[3]) if happens[3] else None,
            _between((0, NOISE), where[4]) if happens[4] else None,
            seed,
        )

    @property
    def changes_nothing(self) -> bool:
        """Whether none happens."""
        return not self.describe()

    def describe(self) -> list[str]:
        """Say each change in words."""
        said = []
        if self.blur is not None:
            said.append(f"blurred by {max(self.blur):.1f} voxels")
        if self.gamma is not None:
            said.append(f"gamma {self.gamma:.2f}")
        if self.contrast is not None:
            said.append(f"contrast {self.contrast:.2f}")
        if self.brightness is not None:
            said.append(f"brightness {self.brightness:+.2f}")
        if self.noise is not None:
            said.append(f"noise {self.noise:.2f}")
        return said

    def apply(self, raw: NDArray[np.float32]) -> None:
        """Change raw data in place; all channels alike, but each with noise of its own.

        Parameters
        ----------
        raw
            Float32 of shape ``(c, z, y, x)`` or ``(c, y, x)``.
        """
        if self.blur is not None:
            _blur(raw, self.blur)
        if self.gamma is not None:
            _gamma(raw, self.gamma)
        if self.contrast is not None or self.brightness is not None:
            _stretch(raw, self.contrast or 1.0, self.brightness or 0.0)
        if self.noise is not None:
            random = np.random.default_rng(self.noise_seed)
            noise = random.standard_normal(raw.shape, dtype=np.float32)
            noise *= np.float32(self.noise)
            raw += noise


def _between(bounds: tuple[float, float], where: float) -> float:
    low, high = bounds
    return float(low + (high - low) * where)


def _blur(raw: NDArray[np.float32], sigmas: Sequence[float]) -> None:
    from scipy.ndimage import gaussian_filter1d

    for axis, sigma in enumerate(sigmas, start=1):
        if sigma >= LEAST_BLUR and raw.shape[axis] > 1:
            gaussian_filter1d(raw, sigma, axis, output=raw, mode="reflect", truncate=REACH)


def _gamma(raw: NDArray[np.float32], gamma: float) -> None:
    for channel in raw:
        low, high = channel.min(), channel.max()
        if high > low:
            channel -= low
            channel /= high - low
            np.power(channel, np.float32(gamma), out=channel)
            channel *= high - low
            channel += low


def _stretch(raw: NDArray[np.float32], contrast: float, brightness: float) -> None:
    for channel in raw:
        # contrast * (x - mean) + mean + brightness
        added = channel.mean(dtype=np.float64) * (1 - contrast) + brightness
        channel *= np.float32(contrast)
        channel += np.float32(added)
