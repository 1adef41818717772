"""The notes played in each frame of the drawn recordings in a feature store.

`scores.u8` lies in the store's folder: for each row of `features.f16` it has one row of
2 x n_bins bytes. They say for which share of the frame each pitch sounds, in 255ths:
first in the melody, then in all notes together.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from bytecover_tf.errors import StoreError
from bytecover_tf.files import Closing
from bytecover_tf.stores.feature_store import Entry, FeatureStore, FeatureStoreWriter

_FILE = "scores.u8"


def has_notes(store: FeatureStore | FeatureStoreWriter) -> bool:
    """Tell whether a feature store has the notes of its recordings."""
    return (store.path / _FILE).exists()


class NoteStore:
    """Read access to the scores that belong to a feature store.

    Args:
        store: the features.

    Raises:
        StoreError: the store has no scores, or fewer than features.
    """

    def __init__(self, store: FeatureStore) -> None:
        if not has_notes(store):
            raise StoreError(f"{store.path}: has no scores ({_FILE} is missing)")
        self._rows = _open_scores(store.path, store.frontend.n_bins)
        end = max((entry.start + entry.frames for entry in store), default=0)
        if len(self._rows) < end:
            raise StoreError(
                f"{store.path / _FILE}: holds {len(self._rows)} frames, but the index "
                f"names {end}"
            )

    def rows(self, entry: Entry, start: int, count: int) -> np.ndarray:
        """Return a crop of a recording's score.

        Returns:
            float32 (count, n_bins, 2) in 0 to 1; shorter where the recording ends.
        """
        stop = min(start + count, entry.frames)
        rows = self._rows[entry.start + start : entry.start + stop]
        return rows.transpose(0, 2, 1) / np.float32(255)


def add_with_notes(
    writer: FeatureStoreWriter,
    scores: NoteWriter,
    name: str,
    features: np.ndarray,
    score: np.ndarray,
) -> None:
    """Write features and score of a synthetic recording, unless both are there.

    Args:
        writer: of the store.
        scores: of the same store.
        name: of the recording, as there is no file.
        features: float array (n_bins, T).
        score: float array (2, n_bins, T) in 0 to 1.

    Raises:
        StoreError: either has the wrong shape.
    """
    entry = writer.find(name) or writer.add(
        name, hashlib.sha256(features.tobytes()).hexdigest(), features
    )
    if entry not in scores:
        scores.add(entry, score)


def remove_unscored(writer: FeatureStoreWriter, scores: NoteWriter) -> None:
    """Remove recordings whose score was not written to its end, as on a full disk.

    To be called before further scores are written, which would lie behind theirs.

    Args:
        writer: of the store.
        scores: of the same store.
    """
    if unscored := [entry for entry in writer.entries if entry not in scores]:
        writer.remove(unscored)


class NoteWriter(Closing):
    """Writes scores beside a feature store. Use as a context manager.

    Args:
        path: the store's folder.
        n_bins: height of its features.
    """

    def __init__(self, path: Path, n_bins: int) -> None:
        self._n_bins = n_bins
        file = path / _FILE
        file.touch()
        self._file = open(file, "rb+")
        self._size = self._file.seek(0, 2)

    def __contains__(self, entry: Entry) -> bool:
        """Whether an entry's score has been written to its end."""
        return self._size >= 2 * self._n_bins * (entry.start + entry.frames)

    def add(self, entry: Entry, score: np.ndarray) -> None:
        """Write the score of a recording.

        Args:
            entry: where its features lie.
            score: float array (2, n_bins, T) in 0 to 1.

        Raises:
            StoreError: the score has another shape than the features.
        """
        if score.shape != (2, self._n_bins, entry.frames):
            raise StoreError(
                f"{entry.source}: expected a score of shape "
                f"(2, {self._n_bins}, {entry.frames}), found {score.shape}"
            )
        self._file.seek(2 * self._n_bins * entry.start)
        content = np.rint(score.transpose(2, 0, 1) * 255).astype(np.uint8)
        self._file.write(content.tobytes())
        self._file.flush()
        self._size = max(self._size, self._file.tell())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _open_scores(folder: Path, n_bins: int) -> np.ndarray:
    """Return all rows, uint8 (frames, 2, n_bins), mapped into memory."""
    path = folder / _FILE
    rows = path.stat().st_size // (2 * n_bins)
    if not rows:
        return np.empty((0, 2, n_bins), np.uint8)
    return np.memmap(path, np.uint8, "r", shape=(rows, 2, n_bins))
