"""Random changes to a crop that keep its work.

Each acts on pooled features (bins, frames) of non-negative amplitudes, and each
is applied with a probability of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bytecover_tf.errors import ConfigError
from bytecover_tf.settings import check_not_negative, check_probabilities

_PROBABILITIES = ("stretch", "transpose", "mask_bins", "mask_frames", "tilt", "noise")


@dataclass(frozen=True)
class Augment:
    """How often and how far crops are changed. The default changes nothing.

    Attributes:
        stretch: probability of a change of tempo.
        stretch_range: factors of duration, drawn evenly on a logarithmic scale.
        transpose: probability of a change of key.
        transpose_bins: largest shift in bins, up or down; bins that enter at the edge
            are empty.
        mask_bins: probability of silencing a band of bins; drawn twice.
        mask_bins_max: widest band.
        mask_frames: probability of silencing a stretch of frames; drawn twice.
        mask_frames_max: longest stretch, as a share of the crop.
        tilt: probability of a gain that varies with frequency, like an equaliser's.
        tilt_knots: frequencies at which the gain is drawn; between them it is a
            straight line in decibels. Two make a plain tilt.
        tilt_decibels: largest gain or loss at a knot.
        noise: probability of additive noise, coloured by another gain of this kind.
        noise_level: its largest standard deviation before colouring, as a share of the
            crop's maximum.

    Raises:
        ConfigError: a probability or share outside 0 to 1, a size below 0, no knot, or
            a stretch range that is not two positive factors in order.
    """

    stretch: float = 0.0
    stretch_range: tuple[float, float] = (0.7, 1.5)
    transpose: float = 0.0
    transpose_bins: int = 6
    mask_bins: float = 0.0
    mask_bins_max: int = 12
    mask_frames: float = 0.0
    mask_frames_max: float = 0.2
    tilt: float = 0.0
    tilt_knots: int = 2
    tilt_decibels: float = 6.0
    noise: float = 0.0
    noise_level: float = 0.02

    def __post_init__(self) -> None:
        check_probabilities(self, "augment.", *_PROBABILITIES, "mask_frames_max")
        check_not_negative(
            self,
            "augment.",
            *("transpose_bins", "mask_bins_max", "tilt_decibels", "noise_level"),
        )
        if self.tilt_knots < 1:
            raise ConfigError(
                f"augment.tilt_knots must be 1 or more, not {self.tilt_knots}"
            )
        ends = self.stretch_range
        if len(ends) != 2 or not 0 < ends[0] <= ends[1]:
            raise ConfigError(
                "augment.stretch_range must be two positive factors in ascending "
                f"order, not {self.stretch_range}"
            )

    def scaled(self, factor: float) -> Augment:
        """Return the same changes, each `factor` (0 to 1) times as probable."""
        return replace(
            self, **{name: factor * getattr(self, name) for name in _PROBABILITIES}
        )

    def draw_shift(self, rng: np.random.Generator) -> int:
        """Return by how many bins the crop is to be transposed."""
        return draw_shift(self.transpose, self.transpose_bins, rng)

    def draw_stretch(self, rng: np.random.Generator) -> float:
        """Return a factor by which the crop's duration is to change."""
        if rng.random() >= self.stretch:
            return 1.0
        low, high = np.log(self.stretch_range)
        return float(np.exp(rng.uniform(low, high)))

    def __call__(self, crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a changed copy of a crop.

        The tempo is not changed here, because it decides how much of the recording a
        crop covers; see `draw_stretch`.

        Args:
            crop: float32 (bins, frames).
            rng: source of all draws.

        Returns:
            float32 (bins, frames), not negative.
        """
        return self.change_sound(transpose(crop, self.draw_shift(rng)), rng)

    def change_sound(self, crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a changed copy of a crop whose notes stay where they are.

        Args:
            crop: float32 (bins, frames).
            rng: source of all draws.

        Returns:
            float32 (bins, frames), not negative.
        """
        crop = crop.copy()
        bins, frames = crop.shape
        if rng.random() < self.tilt:
            crop *= self._draw_gain(bins, rng)
        if rng.random() < self.noise:
            level = rng.uniform(0, self.noise_level) * crop.max()
            noise = np.abs(rng.standard_normal(crop.shape, np.float32))
            crop += level * self._draw_gain(bins, rng) * noise
        for _ in range(2):
            if rng.random() < self.mask_bins:
                start, width = _span(bins, self.mask_bins_max, rng)
                crop[start : start + width] = 0
            if rng.random() < self.mask_frames:
                widest = int(frames * self.mask_frames_max)
                start, width = _span(frames, widest, rng)
                crop[:, start : start + width] = 0
        return crop

    def _draw_gain(self, bins: int, rng: np.random.Generator) -> np.ndarray:
        """Return the factor of each bin, (bins, 1)."""
        knots = rng.uniform(-1, 1, self.tilt_knots) * self.tilt_decibels
        decibels = np.interp(
            np.linspace(0, len(knots) - 1, bins), np.arange(len(knots)), knots
        )
        return (10 ** (decibels / 20)).astype(np.float32)[:, None]


def draw_shift(probability: float, most: int, rng: np.random.Generator) -> int:
    """Return 0, or with some probability a number from `-most` to `most`."""
    if rng.random() >= probability:
        return 0
    return int(rng.integers(-most, most + 1))


def transpose(crop: np.ndarray, shift: int) -> np.ndarray:
    """Move (bins, frames) up by `shift` bins, or down if it is negative."""
    moved = np.roll(crop, shift, axis=0)
    if shift > 0:
        moved[:shift] = 0
    elif shift < 0:
        moved[shift:] = 0
    return moved


def resize_frames(crop: np.ndarray, frames: int) -> np.ndarray:
    """Stretch (bins, n) to `frames` columns by linear interpolation."""
    count = crop.shape[1]
    if count == frames:
        return crop
    at = np.linspace(0, count - 1, frames, dtype=np.float32)
    left = np.minimum(at.astype(int), max(count - 2, 0))
    right = np.minimum(left + 1, count - 1)
    weight = at - left
    return crop[:, left] * (1 - weight) + crop[:, right] * weight


def _span(length: int, widest: int, rng: np.random.Generator) -> tuple[int, int]:
    width = int(rng.integers(0, min(widest, length) + 1))
    return int(rng.integers(0, length - width + 1)), width
