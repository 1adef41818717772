"""Generalised-mean pooling."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bytecover_tf.layers.tensor import Tensor


@keras.saving.register_keras_serializable(package="bytecover_tf")
class GeM(keras.layers.Layer):
    """Pools each channel's map into its generalised mean (paper, equation 1).

    `f_k = mean(x ** p) ** (1 / p)` over bins and frames, with one trainable `p`
    for all channels: `p = 1` is average pooling, growing `p` approaches maximum
    pooling. Computed in float32 under mixed precision, as `x ** p` overflows
    float16 quickly.

    Args:
        p: initial exponent.
        epsilon: values below it are raised to it, since a power of a negative
            number is undefined and the gradient of zero's is not finite.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, channels)`

    Output shape:
        `(batch, channels)`

    Example:
        >>> GeM()(keras.random.uniform((2, 6, 7, 2048))).shape
        TensorShape([2, 2048])

    Reference:
        - Radenovic et al., "Fine-tuning CNN image retrieval with no human
          annotation", TPAMI 2019
    """

    def __init__(self, p: float = 3.0, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not p > 0:
            raise ValueError(f"`p` must be positive. Received: p={p}")
        self.initial_p = p
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the exponent."""
        if len(input_shape) != 4:
            raise ValueError(
                "GeM needs input of shape (batch, bins, frames, channels). "
                f"Received: input_shape={input_shape}"
            )
        self.p = self.add_weight(
            name="p",
            shape=(),
            initializer=keras.initializers.Constant(self.initial_p),
            dtype="float32",
            autocast=False,
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Pool `inputs` over bins and frames."""
        values = ops.maximum(ops.cast(inputs, "float32"), self.epsilon)
        mean = ops.mean(ops.power(values, self.p), axis=(1, 2))
        return ops.cast(ops.power(mean, 1.0 / self.p), self.compute_dtype)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, channels)`."""
        return (input_shape[0], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "p": self.initial_p,
            "epsilon": self.epsilon,
        }
