"""Compression of amplitudes."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from bytecover_tf.layers.tensor import Tensor


@keras.saving.register_keras_serializable(package="bytecover_tf")
class Power(layers.Layer):
    """Raises its input to a fixed power.

    Args:
        exponent: 0.5 compresses loud bins of a spectrum.
        **kwargs: as for any Keras layer.

    Input shape:
        any, values from 0 on.

    Output shape:
        that of the input.

    Raises:
        ValueError: `exponent` is not positive.

    Example:
        >>> float(Power(0.5)(keras.ops.array([9.0]))[0])
        3.0
    """

    def __init__(self, exponent: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not exponent > 0:
            raise ValueError(
                f"`exponent` must be positive. Received: exponent={exponent}"
            )
        self.exponent = exponent

    def call(self, inputs: Tensor) -> Tensor:
        """Return the power of each value."""
        return ops.power(inputs, self.exponent)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "exponent": self.exponent}
