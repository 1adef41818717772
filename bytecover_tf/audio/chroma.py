"""Compact chroma: the form of a recording that alignment compares.

Chroma says about twice a second how strongly each of the twelve pitch classes sounds,
one byte each. It is folded from the same constant-Q transform as the features, so one
pass over a file yields both.
"""

from __future__ import annotations

import numpy as np

from bytecover_tf.audio.constant_q import Transform, check_magnitudes
from bytecover_tf.audio.streaming import mean_blocks
from bytecover_tf.errors import ConfigError

PITCH_CLASSES = 12

# One frame of chroma covers 20 frames of the default transform.
CHROMA_HZ = 22050 / 512 / 20

HEARD = ("notes", "onsets", "melody")
"""What the network says of each semitone: it sounds, it begins, it is the melody."""

# For each part of a chroma of notes: what it folds, and its lowest semitone above C1.
_HEARD = (("notes", 0), ("onsets", 0), ("notes", 32), ("melody", 0))
HEARD_PARTS = len(_HEARD) + 1
"""Number of parts of a chroma of notes: these, then the transform's own chroma."""

# How much each part counts in an alignment, by what versions may share: bass and
# harmony, as covers by bands do, or the melody, as sung songs do. These weights were
# chosen on the development sets of `benchmarks.accuracy.covers`.
_HEARD_WEIGHTS = ((0.3, 0.3, 0.1, 0.0, 0.3), (0.05, 0.05, 0.25, 0.25, 0.4))
# The best single weights: they say how alike two moments are, all in all.
_OVERALL_WEIGHTS = (0.1, 0.1, 0.2, 0.2, 0.4)

# The constants below were chosen by MAP on train and validation splits, see
# benchmarks/accuracy/alignment.py.
#
# The logarithm compresses amplitudes above this multiple of the recording's mean.
_KNEE = 0.1
# Where melodies and their first partials lie: the weight of a bin is a Gaussian over
# pitch around this frequency, with this deviation in semitones.
_CENTRE_HZ = 740.0
_WIDTH = 14.0
# How many frames are folded at once, which bounds memory.
_FRAMES_AT_ONCE = 4096


def part_weights(parts: int) -> np.ndarray:
    """Return how much each part of a chroma counts in an alignment.

    Args:
        parts: their number.

    Returns:
        float (ways, parts): one or more ways to weigh them, the sum of each 1. The way
        by which two recordings match best is the one that counts.
    """
    if parts == HEARD_PARTS:
        return np.array(_HEARD_WEIGHTS)
    return np.full((1, parts), 1 / parts)


def overall_weights(parts: int) -> np.ndarray:
    """Return how much each part of a chroma counts in how alike two moments are.

    Args:
        parts: their number.

    Returns:
        float (parts,), the sum 1.
    """
    if parts == HEARD_PARTS:
        return np.array(_OVERALL_WEIGHTS)
    return np.full(parts, 1 / parts)


def frames_per_chroma(transform: Transform) -> int:
    """Return how many frames of a transform make one of chroma."""
    return max(round(transform.sample_rate / transform.hop_length / CHROMA_HZ), 1)


def seconds_per_frame(transform: Transform) -> float:
    """Return the duration of one frame of chroma in seconds (0.46 by default)."""
    return frames_per_chroma(transform) * transform.hop_length / transform.sample_rate


def check_pool(transform: Transform, source_pool: int, name: str) -> None:
    """Refuse a transform that is pooled too much for chroma.

    Args:
        transform: its parameters.
        source_pool: how many of its frames are averaged into one.
        name: what an error message calls the recording.

    Raises:
        ConfigError: `source_pool` does not divide `pool`.
    """
    if frames_per_chroma(transform) % source_pool:
        raise ConfigError(
            f"{name}: averages of {source_pool} frames of the transform are too long "
            f"to align; expected averages of {frames_per_chroma(transform)} frames, or "
            "of a number that divides it"
        )


def chroma_of_cqt(
    magnitudes: np.ndarray,
    source_pool: int = 1,
    transform: Transform | None = None,
    name: str = "CQT",
) -> np.ndarray:
    """Fold a transform into chroma.

    A logarithm compresses the amplitudes. The median of each bin over time is
    subtracted, which removes hum, noise and the tilt of the spectrum; values below it
    become 0. Bins are weighted by how likely a melody is there and added over the
    octaves. Then each frame is divided by its maximum.

    Args:
        magnitudes: |CQT| of shape (n_bins, frames), each column the mean of
            `source_pool` frames of the transform.
        source_pool: a divisor of `pool`.
        transform: its parameters; None for the default ones.
        name: what an error message calls the recording.

    Returns:
        uint8 array (12, frames * source_pool // pool). Row 0 is the pitch class of
        the lowest bin. The largest value of a frame is 255, or 0 where it is silent.

    Raises:
        AudioError: wrong shape, not finite or negative.
        ConfigError: `source_pool` does not divide `pool`, or `bins_per_octave` is not
            a multiple of 12.
    """
    transform = transform or Transform()
    if transform.bins_per_octave % 12:
        raise ConfigError(
            f"{name}: chroma needs a multiple of 12 bins per octave, "
            f"not {transform.bins_per_octave}"
        )
    check_pool(transform, source_pool, name)
    magnitudes = check_magnitudes(magnitudes, transform.n_bins, name)
    means = mean_blocks(magnitudes, frames_per_chroma(transform) // source_pool)
    return _quantized(_folded(_whitened(means), transform))


def note_means(heard: np.ndarray) -> np.ndarray:
    """Return the mean of each two frames of heard notes, which make one of chroma.

    Args:
        heard: float32 (..., n).

    Returns:
        float32 (..., n // 2).
    """
    end = heard.shape[-1] // 2 * 2
    means = heard[..., 0:end:2] + heard[..., 1:end:2]
    means /= 2
    return means


def chroma_of_notes(means: np.ndarray) -> np.ndarray:
    """Fold heard notes into chroma of several parts.

    Different kinds of versions share different pitches. Pop covers share bass and
    harmony; songs sung to another accompaniment share only the melody. So there is one
    part for all notes, one for onsets, one for the higher notes and one for the melody.
    The median of each pitch over time is subtracted; values below it become 0.

    Args:
        means: float32 (3, 84, n), as `hearing.Hearing.hear_means` returns it.

    Returns:
        uint8 array (12 * parts, n). The largest value of a frame of a part is
        255, or 0 where nothing is heard.
    """
    frames = means.shape[2]
    if not frames:
        return np.empty((PITCH_CLASSES * len(_HEARD), 0), np.uint8)
    notes = dict(zip(HEARD, means, strict=True))
    parts = []
    for name, lowest in _HEARD:
        bins = np.pad(notes[name][lowest:], ((lowest, 0), (0, 0)))
        _beyond_median(bins[lowest:])
        octaves = bins.reshape(-1, PITCH_CLASSES, frames)
        parts.append(_quantized(octaves.sum(axis=0)))
    return np.concatenate(parts)


def _whitened(means: np.ndarray) -> np.ndarray:
    """Whiten in place: of hours, each copy takes much memory."""
    if not means.any():
        return means
    means /= _KNEE * means.mean()
    return _beyond_median(np.log1p(means, out=means))


def _beyond_median(bins: np.ndarray) -> np.ndarray:
    """Take its median from each row, in place, and leave what is positive."""
    bins -= np.array([[np.median(row)] for row in bins], bins.dtype)
    return np.maximum(bins, 0, out=bins)


def _folded(bins: np.ndarray, transform: Transform) -> np.ndarray:
    number = np.arange(transform.n_bins)
    per_semitone = transform.bins_per_octave // 12
    centre = 12 * np.log2(_CENTRE_HZ / transform.fmin)
    away = (number / per_semitone - centre) / _WIDTH
    weights = np.exp(-(away**2) / 2)[:, np.newaxis]
    # Where a semitone has several bins, take the loudest: the others are its skirts.
    starts = np.unique((number + per_semitone // 2) // per_semitone, return_index=True)
    folded = np.empty((PITCH_CLASSES, bins.shape[1]))
    for frame in range(0, bins.shape[1], _FRAMES_AT_ONCE):
        some = slice(frame, frame + _FRAMES_AT_ONCE)
        semitones = np.maximum.reduceat(weights * bins[:, some], starts[1], axis=0)
        for pitch in range(PITCH_CLASSES):
            folded[pitch, some] = semitones[pitch::12].sum(axis=0)
    return folded


def _quantized(chroma: np.ndarray) -> np.ndarray:
    peak = chroma.max(axis=0)
    return np.rint(chroma * (255 / np.where(peak > 0, peak, 1))).astype(np.uint8)
