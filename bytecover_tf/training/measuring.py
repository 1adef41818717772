"""How a network is measured before, during and after its training."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.evaluation.protocol import Evaluation, search
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
        tracks: recordings with their roles; a query is not compared with itself.
        store: holds their features, made with the encoder's frontend.

    Raises:
        FrontendMismatch: the features were made otherwise.
        StoreError: the store lacks a track.
    """
    encoder.frontend.check_same(store.frontend, str(store.path))
    features = (store.features(track.path) for track in tracks)
    if not reads_whole_recordings():
        features = (array[:, : _common_length(array.shape[1])] for array in features)
    return search(tracks, encoder.embed_features(features))


def _common_length(frames: int) -> int:
    """Return the longest of eight lengths an octave that is no longer than this one."""
    step = 1 << max(frames.bit_length() - 4, 0)
    return frames // step * step
