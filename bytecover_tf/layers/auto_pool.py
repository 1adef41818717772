"""Pooling over time by weights that are part of the input."""

from __future__ import annotations

import keras
from keras import ops

from bytecover_tf.layers.tensor import Tensor


@keras.saving.register_keras_serializable(package="bytecover_tf")
class AutoPool(keras.layers.Layer):
    """Averages one half of the channels over time, weighted by the other half.

    The weights are `softmax(sharpness * x)` over the frames, x being the first half of
    the channels. The sharpness is learned; at first it is 0, which makes the result a
    plain mean.

    Args:
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, frames, 2 * channels)`

    Output shape:
        `(batch, channels)`

    Raises:
        ValueError: the number of channels is odd.

    Reference:
        - McFee, Salamon and Bello, "Adaptive pooling operators for weakly labeled
          sound event detection", TASLP 2018
        - Yesiler, Serra and Gomez, "Accurate and scalable version identification
          using musically-motivated embeddings", ICASSP 2020, for the two halves
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the sharpness."""
        channels = input_shape[-1]
        if channels is None or channels % 2:
            raise ValueError(
                "AutoPool needs an even number of channels. "
                f"Received: input_shape={input_shape}"
            )
        self.sharpness = self.add_weight(
            name="sharpness", shape=(), initializer="zeros"
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Pool `inputs` over time."""
        weights, values = ops.split(inputs, 2, axis=-1)
        weights = ops.softmax(self.sharpness * weights, axis=1)
        return ops.sum(weights * values, axis=1)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, channels)`."""
        channels = input_shape[-1]
        return (input_shape[0], None if channels is None else channels // 2)
