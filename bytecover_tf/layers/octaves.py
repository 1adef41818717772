"""The fold to pitch classes as layers."""

from __future__ import annotations

import keras
from keras import layers

from bytecover_tf.audio.chroma import PITCH_CLASSES
from bytecover_tf.layers.ring import fold_octaves
from bytecover_tf.layers.tensor import Tensor


@keras.saving.register_keras_serializable(package="bytecover_tf")
class Octaves(layers.Layer):
    """Lays octaves upon each other and keeps the largest value of each pitch class.

    A change of key only rotates the result.

    Args:
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, channels)`, whole octaves of 12 bins.

    Output shape:
        `(batch, 12, frames, channels)`

    Raises:
        ValueError: the bins are not whole octaves.

    Example:
        >>> Octaves()(keras.random.uniform((1, 84, 40, 2))).shape
        TensorShape([1, 12, 40, 2])
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Return the pitch classes."""
        return fold_octaves(inputs)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, 12, frames, channels)`."""
        batch, _, *rest = input_shape
        return (batch, PITCH_CLASSES, *rest)
