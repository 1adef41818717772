"""Made-up chroma that is like that of music: short stretches of real chroma, joined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bytecover_tf.audio.chroma import PITCH_CLASSES

# Frames of a stretch, from and to: some two to eight seconds. A shared one is too short
# to make versions of two works.
STRETCH = (4, 16)
# Length and tempo of a version beside those of its work, from and to.
LENGTHS, TEMPI = (0.75, 1.25), (0.85, 1.18)
# Share of the frames of a version that are not those of its work.
STRANGE = 0.15


class MadeUpChroma:
    """Makes chroma of versions of works.

    Args:
        sources: uint8 chroma (12 * parts, n) of recordings.
        frames: mean length of a version.
    """

    def __init__(self, sources: Sequence[np.ndarray], frames: int) -> None:
        heard = np.concatenate(sources, axis=1)
        parts = heard.reshape(-1, PITCH_CLASSES, heard.shape[1])
        keys = [np.roll(parts, key, axis=1) for key in range(PITCH_CLASSES)]
        # A frame in one key after another: (12, n, 12 * parts).
        self._frames = np.stack([key.reshape(heard.shape).T for key in keys])
        self._mean = frames

    def work(self, rng: np.random.Generator) -> np.ndarray:
        """Return a work: the key and the number of each of its frames, (2, n)."""
        longest = int(self._mean * LENGTHS[1] * TEMPI[1]) + 1
        lengths = rng.integers(*STRETCH, longest // STRETCH[0] + 1, endpoint=True)
        ends = np.cumsum(lengths)
        keys = rng.integers(PITCH_CLASSES, size=len(lengths))
        starts = rng.integers(self._frames.shape[1], size=len(lengths))
        numbers = np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1])
        work = np.stack([np.repeat(keys, lengths), numbers % self._frames.shape[1]])
        return work[:, :longest]

    def version(self, work: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a version of a work in a key and tempo of its own.

        Returns:
            uint8 (12 * parts, m).
        """
        length = round(self._mean * rng.uniform(*LENGTHS))
        places = (np.arange(length) * rng.uniform(*TEMPI)).astype(int)
        keys, numbers = work[:, places]
        strange = np.flatnonzero(rng.random(length) < STRANGE)
        numbers[strange] = rng.integers(self._frames.shape[1], size=len(strange))
        keys = (keys + rng.integers(PITCH_CLASSES)) % PITCH_CLASSES
        return self._frames[keys, numbers].T
