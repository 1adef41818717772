"""Means of |CQT| over a few frames, at a fraction of the transform's cost.

`magnitudes` followed by a mean over 5 frames computes every frame to the last digit. A
network that hears notes does not need every frame, nor that precision. So here

- each octave is computed at the lowest sample rate that passes it, where filters are
  short;
- filters are as long as their window. librosa's are twice as long, because it drops the
  weakest 1% of their spectra, which spreads them in time;
- the magnitude of a long filter changes slowly, so by Gauss's quadrature two or three
  values give nearly the mean of all frames.

The means differ from those over all frames by some 0.3% in the upper octaves and 0.5 to
1% in the lower ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bytecover_tf.audio.constant_q import (
    Signal,
    Transform,
    correlated,
    highest_passed,
    wavelet,
)

# Share of half the sample rate that decimation passes.
_PASSED = 0.9
# (length, values): so many values give a block's mean within 1%, up to this length of
# the block, measured in the octave's shortest filters.
_VALUES = ((0.3, 2), (0.6, 3))


@dataclass(frozen=True)
class BlockOctave:
    """Filters of one octave, and where in a block of frames they are applied.

    Attributes:
        factor: by which the sample rate is divided before they are applied.
        filters: complex (bins, taps), to be correlated with the signal; from the
            lowest bin up.
        offsets: int (values,), where the middle of the filters is put, in samples of
            the lower rate from the block's first frame.
        weights: float32 (values,), what each value counts in the block's mean.
    """

    factor: int
    filters: np.ndarray
    offsets: np.ndarray
    weights: np.ndarray


def estimated_means(
    signal: Signal, transform: Transform, size: int, first: int = 0
) -> np.ndarray:
    """Estimate the means of |CQT| over blocks of frames.

    Args:
        signal: at the transform's sample rate.
        transform: its parameters.
        size: frames in a block.
        first: frame that the first block begins with.

    Returns:
        float32 (n_bins, blocks). A last block of fewer frames is dropped.

    Raises:
        ConfigError: the top bin's filter reaches beyond half the sample rate.
    """
    hop = transform.hop_length
    count = max(1 + len(signal) // hop - first, 0) // size
    parts = []
    blocks = first + size * np.arange(count)[:, np.newaxis]
    for octave in block_octaves(transform, size):
        samples = signal.decimated(octave.factor)
        centres = blocks * (hop // octave.factor) + octave.offsets
        values = correlated(samples, octave.filters, centres.ravel())
        values = values.reshape(len(values), *centres.shape)
        parts.append(np.einsum("bnv,v->bn", values, octave.weights))
    return np.concatenate(parts[::-1])


@lru_cache(maxsize=8)
def block_octaves(transform: Transform, size: int) -> tuple[BlockOctave, ...]:
    """Return the octaves from the highest down.

    Args:
        transform: its parameters.
        size: frames in a block.

    Raises:
        ConfigError: the top bin's filter reaches beyond half the sample rate.
    """
    per_octave = transform.bins_per_octave
    ends = range(transform.n_bins, 0, -per_octave)
    factor, passed = 1, highest_passed(transform)
    while (
        passed < _PASSED * transform.sample_rate / 2 / (2 * factor)
        and transform.hop_length % (2 * factor * 2 ** (len(ends) - 1)) == 0
    ):
        factor *= 2
    octaves = []
    for number, end in enumerate(ends):
        divisor = factor * 2**number
        frequencies = transform.frequencies[max(0, end - per_octave) : end]
        lengths = transform.sample_rate / (transform.bandwidth * frequencies)
        ratio = size * transform.hop_length / lengths.min()
        values = next((few for longest, few in _VALUES if ratio <= longest), size)
        places, weights = _quadrature(size, min(values, size))
        offsets = np.rint(places * (transform.hop_length / divisor)).astype(int)
        filters = _filters(lengths, divisor, transform)
        octaves.append(BlockOctave(divisor, filters, offsets, weights))
    return tuple(octaves)


def _filters(lengths: np.ndarray, factor: int, transform: Transform) -> np.ndarray:
    taps = 2 * math.ceil(lengths.max() / factor / 2) + 2
    filters = np.zeros((len(lengths), taps), complex)
    for row, length in zip(filters, lengths, strict=True):
        centred = wavelet(length / factor, 1 / transform.bandwidth, transform.window)
        start = taps // 2 - len(centred) // 2
        row[start : start + len(centred)] = centred * math.sqrt(length)
    return filters


def _quadrature(size: int, values: int) -> tuple[np.ndarray, np.ndarray]:
    """Return places in a block, in frames from its first, and their float32 weights.

    Two values give the exact mean of any cubic over all frames, three of any quintic.
    """
    frames = np.arange(size) - (size - 1) / 2
    square, fourth = (frames**2).mean(), (frames**4).mean()
    if values >= size:
        places, weights = frames, np.full(size, 1 / size)
    elif values == 2:
        places, weights = math.sqrt(square) * np.array([-1, 1]), np.array([0.5, 0.5])
    else:
        outer = square**2 / fourth / 2
        places = math.sqrt(fourth / square) * np.array([-1, 0, 1])
        weights = np.array([outer, 1 - 2 * outer, outer])
    return places + (size - 1) / 2, weights.astype(np.float32)
