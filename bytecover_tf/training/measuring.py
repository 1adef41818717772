"""How a network is measured before, during and after its training."""

from __future__ import annotations

from collections.abc import Sequence

import keras

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
    return evaluate_tracks(encoder, tracks, store, usual_length)


def usual_length(frames: int) -> int:
    """Return how many frames of a recording `measure` embeds.

    On JAX that is the longest of eight lengths an octave that is no longer than this.
    """
    if reads_whole_recordings():
        return frames
    step = 1 << max(frames.bit_length() - 4, 0)
    return frames // step * step
