"""|CQT| of a signal that arrives in blocks, averaged over frames.

Several transforms can follow one pass over a file in memory that its length does not
raise, but for their averages.
"""

from __future__ import annotations

import math

import numpy as np

from bytecover_tf.audio.constant_q import Transform, magnitudes

# A long recording is transformed in chunks of about this many frames (93 s
# at the default hop), each with some context on both sides that covers
# the longest filter and the decimation's ringing.
_CHUNK_FRAMES = 4_000
_CONTEXT_FRAMES = 64


class StreamedTransform:
    """Averages of |CQT| over blocks of frames, of a signal that arrives in parts.

    A recording that fits into one chunk is transformed in one piece.

    Args:
        transform: its parameters.
        *sizes: numbers of frames to average over. Chunks are whole multiples of the
            first.
    """

    def __init__(self, transform: Transform, *sizes: int) -> None:
        self._transform = transform
        self._sizes = sizes
        self._chunk = sizes[0] * math.ceil(_CHUNK_FRAMES / sizes[0])
        self._held: list[np.ndarray] = []
        self._lead = 0  # frames held before the next one to give out
        self._means: list[list[np.ndarray]] = [[] for _ in sizes]
        self._rests = [np.empty((transform.n_bins, 0), np.float32) for _ in sizes]

    def add(self, samples: np.ndarray) -> None:
        """Take the next part of the signal: float32 (samples,)."""
        self._held.append(samples)
        hop = self._transform.hop_length
        while sum(map(len, self._held)) > (
            end := (self._lead + self._chunk + _CONTEXT_FRAMES) * hop
        ):
            buffer = np.concatenate(self._held)
            self._average(buffer[:end], self._lead + self._chunk)
            done = self._lead + self._chunk - _CONTEXT_FRAMES
            self._held, self._lead = [buffer[done * hop :]], _CONTEXT_FRAMES

    def finish(self) -> tuple[np.ndarray, ...]:
        """Return the averages, float32 (n_bins, frames // size) for each size.

        A last block of fewer frames is dropped.
        """
        self._average(np.concatenate(self._held))
        return tuple(np.concatenate(parts, axis=1) for parts in self._means)

    def _average(self, samples: np.ndarray, end: int | None = None) -> None:
        chunk = magnitudes(samples, self._transform)[:, self._lead : end]
        for index, size in enumerate(self._sizes):
            # A chunk is a multiple of the first size, not of every one.
            frames = np.concatenate([self._rests[index], chunk], axis=1)
            mean = mean_blocks(frames, size)
            self._means[index].append(mean)
            self._rests[index] = frames[:, mean.shape[1] * size :]


def mean_blocks(frames: np.ndarray, size: int) -> np.ndarray:
    """Average (bins, n) over blocks of `size` columns, dropping an incomplete tail."""
    count = frames.shape[1] // size
    blocks = frames[:, : count * size].reshape(frames.shape[0], count, size)
    return blocks.mean(axis=2, dtype=np.float32)
