"""Pitch classes in registers, from low to high, without timbre."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from bytecover_tf.audio.chroma import PITCH_CLASSES
from bytecover_tf.layers.tensor import Tensor

# Bins at the centres of the lowest and of the highest register, and the standard
# deviation of a register's weights.
LOWEST, HIGHEST, WIDTH = 14.0, 62.0, 10.0
# The logarithm compresses amplitudes above this multiple of the recording's mean.
_KNEE = 0.1
# Frames with a peak below this share of the mean peak stay quieter than others.
_QUIET = 0.3
_TINY = 1e-6


@keras.saving.register_keras_serializable(package="bytecover_tf")
class Registers(layers.Layer):
    """Folds a constant-Q transform into pitch classes, register by register.

    This is the chroma of `bytecover_tf.audio.chroma` as a layer that keeps basses,
    melodies and overtones apart. A logarithm compresses the amplitudes. The mean of
    each bin over time is subtracted, which removes hum, noise and the tilt of the
    spectrum; values below it become 0. Each register weights the bins by a Gaussian and
    adds the octaves; each of its frames is divided by its peak. The layer learns
    nothing, so it cannot overfit the sound of the training data.

    Args:
        count: number of registers.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, 1)`, amplitudes, 12 bins an octave.

    Output shape:
        `(batch, 12, frames, count)`, 0 to 1.

    Raises:
        ValueError: `count` is below 1, or the bins are not whole octaves.

    Example:
        >>> Registers(4)(keras.random.uniform((1, 84, 40, 1))).shape
        TensorShape([1, 12, 40, 4])
    """

    def __init__(self, count: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if count < 1:
            raise ValueError(f"`count` must be at least 1. Received: count={count}")
        self.count = count

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check the shape; there are no weights."""
        if len(input_shape) != 4 or input_shape[-1] != 1:
            raise ValueError(
                "Registers needs input of shape (batch, bins, frames, 1). "
                f"Received: input_shape={input_shape}"
            )
        bins = input_shape[1]
        if not bins or bins % PITCH_CLASSES:
            raise ValueError(
                "Registers needs whole octaves of 12 bins. "
                f"Received: input_shape={input_shape}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        """Return the pitch classes of each register."""
        bins = inputs.shape[1]
        mean = ops.mean(inputs, axis=(1, 2, 3), keepdims=True)
        # ONNX has no log1p; what it keeps apart from this is far below any peak.
        x = ops.log(1.0 + inputs / (_KNEE * mean + _TINY))
        x = ops.relu(x - ops.mean(x, axis=2, keepdims=True))
        x = x * ops.convert_to_tensor(self._weights(bins), x.dtype)
        octaves = ops.split(x, bins // PITCH_CLASSES, axis=1)
        folded = sum(octaves[1:], octaves[0])
        peaks = ops.max(folded, axis=1, keepdims=True)
        quiet = _QUIET * ops.mean(peaks, axis=2, keepdims=True)
        return folded / (peaks + quiet + _TINY)

    def _weights(self, bins: int) -> np.ndarray:
        """Return the weight of each bin in each register, (bins, 1, count)."""
        centres = np.linspace(LOWEST, HIGHEST, self.count)
        away = (np.arange(bins)[:, None] - centres) / WIDTH
        return np.exp(-(away**2) / 2)[:, None].astype(np.float32)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, 12, frames, count)`."""
        batch, _, frames, _ = input_shape
        return (batch, PITCH_CLASSES, frames, self.count)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "count": self.count}
