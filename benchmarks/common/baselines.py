"""Searches that need no training, to compare an encoder with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bytecover_tf.data.track import Track
from bytecover_tf.evaluation.protocol import search
from bytecover_tf.stores.feature_store import FeatureStore


def chance(tracks: Sequence[Track]) -> dict:
    """Search by random vectors."""
    return _cosine_search(
        tracks, np.random.default_rng(0).standard_normal((len(tracks), 64))
    )


def mean_spectrum(tracks: Sequence[Track], store: FeatureStore) -> dict:
    """Search by the mean of the features over time."""
    means = [store.features(track.path).mean(axis=1) for track in tracks]
    return _cosine_search(tracks, np.stack(means))


def _cosine_search(tracks: Sequence[Track], vectors: np.ndarray) -> dict:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return search(tracks, vectors / norms).metrics
