"""The batch normalisation between the two losses."""

from __future__ import annotations

from typing import Any

import keras

from bytecover_tf.layers.batch_norm import BatchNorm
from bytecover_tf.layers.tensor import Tensor


@keras.saving.register_keras_serializable(package="bytecover_tf")
class BNNeck(keras.layers.Layer):
    """Turns f_t, where the triplet loss acts, into f_c, where the classifier acts.

    Batch normalisation without a trainable shift (paper, section 2.2), so that f_c
    stays centred on the origin as the bias-free classifier after it expects. The two
    losses then no longer pull one vector in two directions, and f_c suits the cosine.
    The layer always computes in float32: it is small, and both losses read it.

    Args:
        epsilon: added to the variance.
        momentum: momentum of the moving statistics.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, dim)`

    Output shape:
        The same.

    Example:
        >>> f_t = keras.random.normal((32, 2048))
        >>> BNNeck()(f_t, training=True).shape
        TensorShape([32, 2048])

    Reference:
        - Luo et al., "Bag of tricks and a strong baseline for deep person
          re-identification", CVPR Workshops 2019
    """

    def __init__(
        self, epsilon: float = 1e-5, momentum: float = 0.9, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.epsilon = epsilon
        self.momentum = momentum
        self.batch_norm = BatchNorm(
            center=False,
            epsilon=epsilon,
            momentum=momentum,
            dtype=self.dtype_policy,
            name="batch_norm",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the scale and the moving statistics."""
        if len(input_shape) != 2:
            raise ValueError(
                "BNNeck needs input of shape (batch, dim). "
                f"Received: input_shape={input_shape}"
            )
        self.batch_norm.build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return f_c of f_t."""
        return self.batch_norm(inputs, training=training)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `input_shape`."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "momentum": self.momentum,
        }
