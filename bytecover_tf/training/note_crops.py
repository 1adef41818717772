"""Random crops of labelled recordings, to train the network that hears notes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from bytecover_tf.errors import DataError
from bytecover_tf.models.note_network import BINS_PER_SEMITONE
from bytecover_tf.stores.labelled_store import LabelledFeatures

FRAMES = 128
"""Frames of a crop, 15 seconds."""

# The pitches from C1 to B7 among those that are labelled, A0 to C8.
_PITCHES = slice(3, 87)
_SEMITONES = 84
# Of a batch, the share that has its melody labelled, where recordings have.
_MELODY_SHARE = 1 / 3
# Recordings longer than this, in frames, are not drawn from more often.
_LONG = 2000
# Augmentation: largest shift in semitones, gains, tilt in decibels at the outer bins,
# and noise in tenths of the mean amplitude.
_SHIFT = 4
_GAINS = (0.7, 1.3)
_TILT = 6.0
_NOISE = 4.0


@dataclass(frozen=True)
class NoteCrop:
    """A crop and what is heard in it.

    Attributes:
        magnitudes: float32 (252, FRAMES), amplitudes in means of the recording.
        heard: float32 (84, FRAMES / 2, 3), notes, onsets and melody from 0 to 1.
        has_melody: whether the melody is labelled.
    """

    magnitudes: np.ndarray
    heard: np.ndarray
    has_melody: bool


class NoteCrops(keras.utils.PyDataset):
    """Batches of random crops. The same seed, epoch and number give the same batch.

    Args:
        recordings: what to crop.
        batch: crops in a batch.
        batches: in an epoch.
        seed: of the random numbers.

    Raises:
        DataError: there are no recordings.
    """

    def __init__(
        self,
        recordings: Sequence[LabelledFeatures],
        batch: int,
        batches: int,
        seed: int,
    ) -> None:
        super().__init__()
        if not recordings:
            raise DataError("no labelled recordings to train hearing on")
        self.epoch = 0
        self._batch, self._batches, self._seed = batch, batches, seed
        self._with = [one for one in recordings if one.melody is not None]
        self._without = [one for one in recordings if one.melody is None]

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, number: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return inputs (batch, 252, FRAMES, 1) and targets of `NoteNetwork`."""
        rng = np.random.default_rng((self._seed, self.epoch, number))
        melodies = round(self._batch * _MELODY_SHARE) if self._with else 0
        if not self._without:
            melodies = self._batch
        chosen = [
            *_draw(self._with, melodies, rng),
            *_draw(self._without, self._batch - melodies, rng),
        ]
        return stack([augmented(crop(one, rng), rng) for one in chosen])


class EpochClock(keras.callbacks.Callback):
    """Tells crops which epoch it is, so that a resumed run draws what it would have."""

    def __init__(self, crops: NoteCrops) -> None:
        super().__init__()
        self._crops = crops

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Set the epoch."""
        self._crops.epoch = epoch


def crop(
    recording: LabelledFeatures, rng: np.random.Generator | None = None
) -> NoteCrop:
    """Cut a crop at a random place, or from the middle."""
    spare = recording.cqt36.shape[1] - FRAMES
    start = spare // 2 if rng is None else int(rng.integers(spare + 1))
    frames = slice(start, start + FRAMES)
    _, m = recording.scale[1]
    # The code is a logarithm over a tenth of the mean.
    tenths = np.expm1(recording.cqt36[:, frames] * np.float32(m / 255))
    heard = np.zeros((_SEMITONES, FRAMES // 2, 3), np.float32)
    labels = ((recording.notes, 255), (recording.onsets, 255), (recording.melody, 1))
    for channel, (values, one) in enumerate(labels):
        if values is not None:
            pairs = values[_PITCHES, frames].reshape(_SEMITONES, -1, 2)
            heard[..., channel] = pairs.mean(axis=2) / one
    return NoteCrop(tenths / 10, heard, recording.melody is not None)


def augmented(given: NoteCrop, rng: np.random.Generator) -> NoteCrop:
    """Return a crop in another key, louder or softer, tilted, with noise."""
    magnitudes: np.ndarray = given.magnitudes * np.float32(rng.uniform(*_GAINS))
    if rng.random() < 0.5:
        tilt = rng.uniform(-_TILT, _TILT) * np.linspace(-1, 1, len(magnitudes))
        magnitudes = magnitudes * 10 ** (tilt[:, np.newaxis] / 20)
    if rng.random() < 0.25:
        level = rng.uniform(0, _NOISE) / 10
        magnitudes = magnitudes + level * np.abs(rng.normal(size=magnitudes.shape))
    shift = int(rng.integers(-_SHIFT, _SHIFT + 1))
    return NoteCrop(
        _moved(magnitudes.astype(np.float32), BINS_PER_SEMITONE * shift),
        _moved(given.heard, shift),
        given.has_melody,
    )


def stack(crops: Sequence[NoteCrop]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return crops as inputs and targets of `NoteNetwork`."""
    return np.stack([one.magnitudes for one in crops])[..., np.newaxis], {
        "heard": np.stack([one.heard for one in crops]),
        "has_melody": np.array([one.has_melody for one in crops]),
    }


def _draw(
    recordings: Sequence[LabelledFeatures], count: int, rng: np.random.Generator
) -> list[LabelledFeatures]:
    """Draw recordings in proportion to their lengths."""
    if not count:
        return []
    lengths = np.array([min(one.cqt36.shape[1], _LONG) for one in recordings], float)
    chosen = rng.choice(len(recordings), count, p=lengths / lengths.sum())
    return [recordings[index] for index in chosen]


def _moved(values: np.ndarray, rows: int) -> np.ndarray:
    """Move an array up by rows; what comes in is empty."""
    moved = np.roll(values, rows, axis=0)
    if rows > 0:
        moved[:rows] = 0
    elif rows < 0:
        moved[rows:] = 0
    return moved
