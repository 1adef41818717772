"""How a network is measured before, during and after its training."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.evaluation.protocol import Evaluation, search
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.terminal import warn


def reads_whole_recordings() -> bool:
    """Tell whether `measure` embeds recordings to their end."""
    return keras.backend.backend() != "jax"


def measure(
    encoder: Encoder, tracks: Sequence[Track], store: FeatureStore
) -> Evaluation:
    """Embed recordings and search each among the others.

    A network that has begun to learn may embed many recordings as nothing, when the
    last activation is zero everywhere. These count with an embedding of zeros, so that
    every epoch is measured on the same recordings.

    JAX compiles a network for each length that it sees, which can take longer than the
    training. So on that backend recordings end early, by less than an eighth, and come
    in eight lengths an octave. `python -m bytecover_tf.evaluate` reads them whole.

    Args:
        encoder: the encoder to measure.
        tracks: recordings with their roles; a query is not compared with itself.
        store: holds their features, made with the encoder's frontend.

    Raises:
        DataError: no query has a version among the references.
        FrontendMismatch: the features were made otherwise.
        StoreError: the store lacks a track.
    """
    encoder.frontend.check_same(store.frontend, str(store.path))
    wholes = (store.features(track.path) for track in tracks)
    features = (array[:, : usual_length(array.shape[1])] for array in wholes)
    found = encoder.try_features(features, [track.path for track in tracks])
    if found.errors:
        reason = next(iter(found.errors.values()))
        warn(
            f"{len(found.errors)} of {len(tracks)} recordings have no embedding, and "
            f"count as not found ({reason})"
        )
    return search(tracks, np.nan_to_num(found.vectors))


def usual_length(frames: int) -> int:
    """Return how many frames of a recording `measure` embeds.

    On JAX that is the longest of eight lengths an octave that is no longer than this.
    """
    if reads_whole_recordings():
        return frames
    step = 1 << max(frames.bit_length() - 4, 0)
    return frames // step * step
