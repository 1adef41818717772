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


def test_recordings_without_an_embedding_are_not_found(small_set, capsys):
    tracks, store = small_set
    encoder = MeanFeatures(store.frontend)
    whole = measure(encoder, tracks, store).metrics
    embed = encoder.try_features

    def try_features(features, names):
        vectors, _ = embed(features, names)
        # Of two versions of each work, or of all but one recording.
        lost = {index: f"{names[index]}: nothing" for index in range(len(names))}
        for index in kept:
            del lost[index]
        vectors[[*lost]] = np.nan
        return Embedded(vectors, lost)

    encoder.try_features = try_features
    for kept, most in ((range(0, len(tracks), 2), 0.75 * whole["map"]), ([5], 0.1)):
        found = measure(encoder, tracks, store).metrics
        assert found["queries"] == found["references"] == len(tracks)
        assert found["map"] < most
        told = f"{len(tracks) - len(kept)} of 48 recordings have no embedding"
        assert told in capsys.readouterr().err


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
