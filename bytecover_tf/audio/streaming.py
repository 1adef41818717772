"""|CQT| of a signal that arrives in blocks, averaged over frames.

Several transforms can share one pass over a file. Only their averages grow with its
length; all other memory is bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bytecover_tf.audio.constant_q import Signal, Transform, magnitudes
from bytecover_tf.audio.estimated_means import estimated_means

# A long recording is transformed in chunks of about this many frames (93 s
# at the default hop), each with some context on both sides that covers
# half of the longest filter and the decimation's ringing: so many frames, or
# the whole filter where it is longer.
_CHUNK_FRAMES = 4_000
_CONTEXT_FRAMES = 64


@dataclass(frozen=True)
class Average:
    """An average of |CQT| to compute.

    Attributes:
        transform: parameters of the transform.
        size: number of its frames that make one of the average.
        estimated: whether `estimated_means` will do.
    """

    transform: Transform
    size: int
    estimated: bool = False

    @property
    def samples(self) -> int:
        """Samples from one frame of the average to the next."""
        return self.size * self.transform.hop_length


class StreamedTransform:
    """Computes averages of |CQT| over blocks of frames while a signal arrives in parts.

    A recording that fits into one chunk is transformed in one piece.

    Args:
        *averages: what to compute; all transforms must have the same sample rate.
        chunk_frames: how many frames of a long signal are transformed at once; fewer
            give out averages sooner.
    """

    def __init__(self, *averages: Average, chunk_frames: int | None = None) -> None:
        self._averages = averages
        hops = {average.transform.hop_length for average in averages}
        # In samples; chunks are whole multiples of all blocks.
        step = math.lcm(*(average.samples for average in averages))
        self._chunk = step * math.ceil(
            (chunk_frames or _CHUNK_FRAMES) * max(hops) / step
        )
        hop = math.lcm(*hops)
        longest = max(_longest_filter(average.transform) for average in averages)
        context = max(_CONTEXT_FRAMES * max(hops), longest)
        self._context = hop * math.ceil(context / hop)
        self._held: list[np.ndarray] = []
        self._lead = 0  # samples held before the next frame to give out
        self._means = [_no_frames(average) for average in averages]

    def add(self, samples: np.ndarray) -> None:
        """Take the next part of the signal: float32 (samples,)."""
        self._held.append(samples)
        while sum(map(len, self._held)) > (
            end := self._lead + self._chunk + self._context
        ):
            buffer = np.concatenate(self._held)
            self._average(buffer[:end], self._chunk)
            done = max(self._lead + self._chunk - self._context, 0)
            self._held, self._lead = [buffer[done:]], self._lead + self._chunk - done

    def take(self) -> tuple[np.ndarray, ...]:
        """Return the averages that are new since the last call, and forget them.

        Returns:
            float32 (n_bins, n) for each of the averages, its frames one after another
            in memory; n may be 0.
        """
        means = tuple(means.T for means in self._means)
        self._means = [_no_frames(average) for average in self._averages]
        return means

    def finish(self) -> tuple[np.ndarray, ...]:
        """Return the averages that were not taken, (n_bins, frames // size) for each.

        They are float32. A last block of fewer frames is dropped.
        """
        self._average(np.concatenate(self._held))
        return self.take()

    def _average(self, samples: np.ndarray, length: int | None = None) -> None:
        """Average the samples that follow the lead, at most so many of them."""
        signal = Signal(samples)
        transformed: dict[Transform, np.ndarray] = {}
        for average, means in zip(self._averages, self._means, strict=True):
            transform, size = average.transform, average.size
            first = self._lead // transform.hop_length
            if average.estimated:
                mean = estimated_means(signal, transform, size, first)
            else:
                if transform not in transformed:
                    transformed[transform] = magnitudes(signal, transform)
                mean = mean_blocks(transformed[transform][:, first:], size)
            new = mean[:, : length and length // average.samples].T
            # In place: averages of hours would else be in memory twice.
            count = len(means)
            means.resize((count + len(new), means.shape[1]), refcheck=False)
            means[count:] = new


def _longest_filter(transform: Transform) -> float:
    """Return the length of the lowest bin's filter in samples."""
    cycles = 1 / transform.bandwidth
    return cycles * transform.sample_rate / transform.fmin


def _no_frames(average: Average) -> np.ndarray:
    """Return an array (frames, n_bins) that frames can be added to."""
    return np.empty((0, average.transform.n_bins), np.float32)


def mean_blocks(frames: np.ndarray, size: int) -> np.ndarray:
    """Average (bins, n) over blocks of `size` columns, dropping an incomplete tail."""
    count = frames.shape[1] // size
    blocks = frames[:, : count * size].reshape(frames.shape[0], count, size)
    # Row by row in memory, however `frames` is.
    means = np.empty((len(frames), count), np.float32)
    return blocks.mean(axis=2, dtype=np.float32, out=means)
