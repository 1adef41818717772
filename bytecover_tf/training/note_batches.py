"""Training batches of recordings whose score is known.

Besides the features, a batch holds the score, and says for which recordings the
backbone reads the score instead of the salience layer's output. Training begins with
scores only and unchanged crops, and becomes harder step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bytecover_tf.data.track import Track
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.stores.note_store import NoteStore
from bytecover_tf.training.batches import ALL_ROWS, CropBatches, Spec


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
class NoteBatches(CropBatches):
    """Makes training batches by number, with what is played in each crop.

    Stretching and transposing also change the score; other changes affect only the
    features. Changes reach their full rate at step `easy_steps`.

    Attributes:
        score_share: share of crops for which the backbone reads the score from step
            `easy_steps` on; in the first step it is all of them.
        easy_steps: number of steps from easy to hard.
    """

    score_share: float = 0.15
    easy_steps: int = 0

    @property
    def spec(self) -> Spec:
        """Shapes and types of a batch."""
        _, works = super().spec
        size, bins = self.sampler.batch_size, self.n_bins
        return (
            {
                "features": ((size, bins, None, 1), "float32"),
                "score": ((size, bins, None, 2), "float32"),
                "given": ((size,), "bool"),
            },
            works,
        )

    def __call__(
        self, number: int, rows: slice = ALL_ROWS
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return batch `number`, or some of its rows.

        Returns:
            The model's inputs in training, and int32 works (batch,).
        """
        frames, rng = self._begin(number)
        hardness = min(number / self.easy_steps, 1.0) if self.easy_steps else 1.0
        share = 1 - hardness * (1 - self.score_share)
        given = rng.random(self.sampler.batch_size) < share
        augment = self.augment.scaled(hardness)
        crops, works = self._crops(number, rows, frames, augment)
        batch = {
            "features": crops[..., :1],
            "score": crops[..., 1:],
            "given": given[rows],
        }
        return batch, works
