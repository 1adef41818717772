"""Training batches of recordings whose score is known.

Beside the features a batch holds what is played, and for which recordings the
backbone is to read that instead of what the salience layer hears. Training begins
with the score alone and without changes to the crops, and becomes harder step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bytecover_tf.data.track import Track
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.stores.note_store import NoteStore
from bytecover_tf.training.augment import Augment, resize_frames, transpose
from bytecover_tf.training.batches import ALL_ROWS, Spec, row_generators
from bytecover_tf.training.sampler import PKSampler


class NoteReader:
    """Reads crops of features and score together.

    Args:
        store: the features.
        scores: what is played in them.
        tracks: the recordings, in the order of their indices.

    Raises:
        StoreError: the store lacks a track.
    """

    def __init__(
        self, store: FeatureStore, scores: NoteStore, tracks: Sequence[Track]
    ) -> None:
        self._store, self._scores = store, scores
        self._entries = [store.entry(track.path) for track in tracks]

    def crop(self, index: int, frames: int, rng: np.random.Generator) -> np.ndarray:
        """Return float32 (n, n_bins, 3): features, melody, all notes."""
        entry = self._entries[index]
        start = int(rng.integers(max(entry.frames - frames, 0) + 1))
        features = self._store.rows(entry, start, frames).astype(np.float32)
        score = self._scores.rows(entry, start, frames)
        return np.concatenate([features[..., None], score], axis=-1)


@dataclass(frozen=True)
class NoteBatches:
    """Makes training batches by number.

    Attributes:
        reader: where crops come from.
        works: integer label of each recording.
        sampler: chooses the recordings of a batch.
        crop_frames: lengths in frames; a batch has one of them, drawn evenly.
        augment: random changes to the features, at their full rate from step
            `easy_steps` on; stretching and transposing move the score along.
        score_share: share of crops of which the backbone reads the score, from step
            `easy_steps` on; in the first step it is all of them.
        easy_steps: length of the way from easy to hard.
        n_bins: height of the features.
        seed: seed of crops and changes.
    """

    reader: NoteReader
    works: np.ndarray
    sampler: PKSampler
    crop_frames: tuple[int, ...]
    augment: Augment
    score_share: float
    easy_steps: int
    n_bins: int
    seed: int = 0

    @property
    def spec(self) -> Spec:
        """Shapes and types of a batch."""
        size, bins = self.sampler.batch_size, self.n_bins
        return (
            {
                "features": ((size, bins, None, 1), "float32"),
                "score": ((size, bins, None, 2), "float32"),
                "given": ((size,), "bool"),
            },
            ((size,), "int32"),
        )

    def __call__(
        self, number: int, rows: slice = ALL_ROWS
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return batch `number`, or some of its rows.

        A recording shorter than the crop is repeated.

        Returns:
            The model's inputs in training, and int32 works (batch,).
        """
        size = self.sampler.batch_size
        rng = np.random.default_rng([self.seed, 2, number])
        frames = int(rng.choice(self.crop_frames))
        hardness = min(number / self.easy_steps, 1.0) if self.easy_steps else 1.0
        augment = self.augment.scaled(hardness)
        share = 1 - hardness * (1 - self.score_share)
        given = rng.random(size) < share
        indices = self.sampler.batch(number)[rows]
        draws = row_generators(self.seed, number, rows, size)
        crops = np.stack(
            [
                self._crop(int(index), frames, augment, draw)
                for index, draw in zip(indices, draws, strict=True)
            ]
        )
        batch = {
            "features": crops[..., :1],
            "score": crops[..., 1:],
            "given": given[rows],
        }
        return batch, self.works[indices].astype(np.int32)

    def _crop(
        self, index: int, frames: int, augment: Augment, rng: np.random.Generator
    ) -> np.ndarray:
        wanted = max(round(frames / augment.draw_stretch(rng)), 1)
        crop = self.reader.crop(index, wanted, rng)
        crop = np.take(crop, np.arange(wanted) % len(crop), axis=0)
        layers = [resize_frames(layer.T, frames) for layer in np.moveaxis(crop, 2, 0)]
        shift = augment.draw_shift(rng)
        layers = [transpose(layer, shift) for layer in layers]
        layers[0] = replace(augment, transpose=0.0)(layers[0], rng)
        return np.stack(layers, axis=-1).astype(np.float32)
