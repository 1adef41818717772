"""The fold to pitch classes as layers."""

from __future__ import annotations

import keras
from keras import layers, ops

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


@keras.saving.register_keras_serializable(package="bytecover_tf")
class OctaveChannels(layers.Layer):
    """Lays octaves upon each other, each as channels of its own.

    In another key the result is the same but for a turn of the ring, and for notes that
    cross from one octave into the next.

    Args:
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, 12 * octaves, frames, channels)`

    Output shape:
        `(batch, 12, frames, octaves * channels)`

    Raises:
        ValueError: the bins are not whole octaves.

    Example:
        >>> OctaveChannels()(keras.random.uniform((1, 84, 40, 2))).shape
        TensorShape([1, 12, 40, 14])
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check the shape; there are no weights."""
        if not input_shape[1] or input_shape[1] % PITCH_CLASSES:
            raise ValueError(
                "OctaveChannels needs whole octaves of 12 bins. "
                f"Received: input_shape={input_shape}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        """Return the pitch classes."""
        octaves = ops.split(inputs, inputs.shape[1] // PITCH_CLASSES, axis=1)
        return ops.concatenate(octaves, axis=-1)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, 12, frames, octaves * channels)`."""
        batch, bins, frames, channels = input_shape
        assert bins is not None
        assert channels is not None
        return (batch, PITCH_CLASSES, frames, bins // PITCH_CLASSES * channels)
