"""How a network is measured before, during and after its training."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.evaluation.protocol import Evaluation, evaluate_tracks
from bytecover_tf.stores.feature_store import FeatureStore


def reads_whole_recordings() -> bool:
    """Tell whether `measure` embeds recordings to their end."""
    return keras.backend.backend() != "jax"


def measure(
    encoder: Encoder, tracks: Sequence[Track], store: FeatureStore
) -> Evaluation:
    """Embed recordings and search each among the others.

    JAX compiles a network for each length that it sees, which can take longer than the
    training. So on that backend recordings end early, by less than an eighth, and come
    in eight lengths an octave. `python -m bytecover_tf.evaluate` reads them whole.

    Args:
        encoder: the encoder to measure.
        tracks: as of `evaluate_tracks`, which also says what is raised.
        store: likewise.
    """
    length = None if reads_whole_recordings() else _common_length
    return evaluate_tracks(encoder, tracks, store, length)


def usual_length(features: np.ndarray) -> np.ndarray:
    """Return as much of a recording (bins, frames, ...) as `measure` embeds."""
    if reads_whole_recordings():
        return features
    return features[:, : _common_length(features.shape[1])]


def _common_length(frames: int) -> int:
    """Return the longest of eight lengths an octave that is no longer than this one."""
    step = 1 << max(frames.bit_length() - 4, 0)
    return frames // step * step
