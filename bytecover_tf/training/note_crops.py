"""Chooses crops of labelled recordings to train hearing on, and how to change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from bytecover_tf.errors import DataError
from bytecover_tf.models.note_network import BINS_PER_SEMITONE
from bytecover_tf.training.note_table import FRAMES, KNOTS, NOISE_FRAMES, Place

# The share of a batch whose melody is labelled, if the data has such recordings; and
# the share of these that have no other labels, if there are both kinds.
_MELODY_SHARE = 1 / 3
_ALONE_SHARE = 0.6
# A recording is drawn in proportion to its length, up to this many frames.
_LONG = 2000

Batch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
"""Inputs of `NoteTable`, and `has_notes` and `has_melody` as of `NoteNetwork`."""


@dataclass(frozen=True)
class Augmentation:
    """How crops differ from their recordings.

    Attributes:
        gains: smallest and largest factor of the amplitude.
        equalised: share of crops that an equaliser changes.
        decibels: standard deviation of the equaliser's curve at each knot.
        noisy: share of crops with noise.
        noise: its largest level, in means of the recording.
        semitones: largest change of key, either way.
        detuned: share of crops that are put a third of a semitone out of tune; their
            labels stay.
    """

    gains: tuple[float, float] = (0.6, 1.5)
    equalised: float = 0.6
    decibels: float = 3.5
    noisy: float = 0.25
    noise: float = 0.4
    semitones: int = 5
    detuned: float = 0.27


class NoteCrops(keras.utils.PyDataset):
    """Batches of random crops. The same seed, epoch and number give the same batch.

    Args:
        places: recordings to crop, each of at least `FRAMES` frames.
        batch: crops in a batch.
        batches: in an epoch.
        seed: of the random numbers.
        augmentation: how the crops are changed.

    Raises:
        DataError: there are no recordings.
    """

    def __init__(
        self,
        places: Sequence[Place],
        batch: int,
        batches: int,
        seed: int,
        augmentation: Augmentation,
    ) -> None:
        super().__init__()
        if not places:
            raise DataError("no labelled recordings to train hearing on")
        self.epoch = 0
        self._batches, self._seed, self._augmentation = batches, seed, augmentation
        without = [one for one in places if not one.has_melody]
        both = [one for one in places if one.has_melody and one.has_notes]
        alone = [one for one in places if one.has_melody and not one.has_notes]
        melodies = round(batch * _MELODY_SHARE) if both or alone else 0
        if not without:
            melodies = batch
        drawn_alone = round(melodies * _ALONE_SHARE) if both else melodies
        if not alone:
            drawn_alone = 0
        self._drawn = tuple(
            (kind, _shares(kind), count)
            for kind, count in (
                (without, batch - melodies),
                (both, melodies - drawn_alone),
                (alone, drawn_alone),
            )
            if count
        )

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, number: int) -> Batch:
        """Return inputs and targets of a batch."""
        rng = np.random.default_rng((self._seed, self.epoch, number))
        chosen = [
            places[index]
            for places, shares, count in self._drawn
            for index in rng.choice(len(places), count, p=shares)
        ]
        starts = [int(rng.integers(one.frames - FRAMES + 1)) for one in chosen]
        crops, targets = _cut(chosen, starts)
        return crops | _changes(len(chosen), self._augmentation, rng), targets


class EpochClock(keras.callbacks.Callback):
    """Tells the crops the epoch, so that a resumed run draws the same batches."""

    def __init__(self, crops: NoteCrops) -> None:
        super().__init__()
        self._crops = crops

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Set the epoch."""
        self._crops.epoch = epoch


def middles(places: Sequence[Place]) -> Batch:
    """Return one unchanged crop from the middle of each recording."""
    return _cut(places, [(one.frames - FRAMES) // 2 for one in places])


def _cut(places: Sequence[Place], starts: Sequence[int]) -> Batch:
    """Return crops that begin so many frames after their recordings, unchanged."""
    count = len(places)
    firsts = [one.first + start for one, start in zip(places, starts, strict=True)]
    crops = {
        "first": np.array(firsts, np.int32),
        "step": np.array([one.step for one in places], np.float32),
        "decibels": np.zeros((count, KNOTS), np.float32),
        "noise": np.zeros(count, np.float32),
        **{
            name: np.zeros(count, np.int32)
            for name in ("noise_first", "bins", "semitones")
        },
    }
    targets = {
        "has_notes": np.array([one.has_notes for one in places]),
        "has_melody": np.array([one.has_melody for one in places]),
    }
    return crops, targets


def _changes(
    count: int, how: Augmentation, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw the changes of so many crops."""
    gains = 20 * np.log10(rng.uniform(*how.gains, (count, 1)))
    curves = rng.normal(0, how.decibels, (count, KNOTS))
    levels = rng.uniform(0, how.noise, count)
    semitones = rng.integers(-how.semitones, how.semitones + 1, count)
    detuned = rng.choice([-1, 1], count) * (rng.random(count) < how.detuned)
    decibels = gains + curves * (rng.random((count, 1)) < how.equalised)
    return {
        "decibels": decibels.astype(np.float32),
        "noise": (levels * (rng.random(count) < how.noisy)).astype(np.float32),
        "noise_first": rng.integers(NOISE_FRAMES - FRAMES + 1, size=count, dtype="i4"),
        "bins": (BINS_PER_SEMITONE * semitones + detuned).astype(np.int32),
        "semitones": semitones.astype(np.int32),
    }


def _shares(places: Sequence[Place]) -> np.ndarray:
    """Return how often each recording is drawn: in proportion to its length."""
    lengths = np.array([min(one.frames, _LONG) for one in places], float)
    return lengths / lengths.sum()
