"""Measuring a network while it is trained."""

import keras
import numpy as np
import pytest

from bytecover_tf.encoders.encoder import Embedded
from bytecover_tf.evaluation.protocol import evaluate_tracks
from bytecover_tf.training.measuring import measure


class MeanFeatures:
    """Embeds a recording by the mean of its frames, and notes how long it was."""

    def __init__(self, frontend):
        self.frontend = frontend
        self.lengths = []

    def try_features(self, features, names):
        arrays = list(features)
        self.lengths = [array.shape[1] for array in arrays]
        return Embedded(np.stack([array.mean(axis=1) for array in arrays]), {})


def test_recordings_are_read_whole(small_set):
    tracks, store = small_set
    encoder = MeanFeatures(store.frontend)
    found = measure(encoder, tracks, store)
    assert encoder.lengths == [store.entry(track.path).frames for track in tracks]
    assert found.metrics == evaluate_tracks(encoder, tracks, store).metrics


def test_on_jax_few_lengths_are_left(small_set, monkeypatch):
    tracks, store = small_set
    lengths = iter([*range(100, 148)])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(
        type(store), "features", lambda *_: np.ones((84, next(lengths)), np.float32)
    )
    encoder = MeanFeatures(store.frontend)
    measure(encoder, tracks, store)
    assert sorted(set(encoder.lengths)) == [96, 104, 112, 120, 128, 144]
    kept = np.array(encoder.lengths) / np.arange(100, 148)
    assert kept.min() > 7 / 8
    assert kept.max() <= 1


@pytest.mark.parametrize("frames", [1, 7, 15])
def test_short_recordings_stay_whole_on_jax(small_set, monkeypatch, frames):
    tracks, store = small_set
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(
        type(store), "features", lambda *_: np.ones((84, frames), np.float32)
    )
    encoder = MeanFeatures(store.frontend)
    measure(encoder, tracks, store)
    assert set(encoder.lengths) == {frames}
