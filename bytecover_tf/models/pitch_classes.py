"""Pitch classes of a constant-Q transform, laid out for every transposition."""

from __future__ import annotations

from keras import ops

from bytecover_tf.layers.ring import fold_octaves
from bytecover_tf.layers.tensor import Tensor


def transposable_pitch_classes(inputs: Tensor) -> Tensor:
    """Fold octaves, and repeat the pitch classes so that none is at an edge.

    A kernel of 12 rows then meets the same music at one of its 12 places whatever
    the key, and the maximum over the places does not depend on the key.

    Args:
        inputs: `(batch, bins, frames, channels)`, 12 bins an octave.

    Returns:
        `(batch, 23, frames, channels)`: the pitch classes, divided by the loudest of
        their frame; rows 0 to 11, then 0 to 10 again.

    Raises:
        ValueError: the bins are not whole octaves.
    """
    chroma = fold_octaves(inputs)
    loudest = ops.max(chroma, axis=1, keepdims=True)
    chroma = chroma / ops.maximum(loudest, 1e-3)
    return ops.concatenate([chroma, chroma[:, :11]], axis=1)
