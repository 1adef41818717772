"""Batch normalisation of feature maps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="bytecover_tf")
class BatchNorm(keras.layers.BatchNormalization):
    """Keras's batch normalisation, in training one operation of TensorFlow.

    Keras composes it of some ten operations and as many in the gradient, each of which
    passes over the whole map. TensorFlow has one for both, which other backends and
    float64 do without; what it returns differs by rounding only.

    Args:
        **kwargs: as for `keras.layers.BatchNormalization`.

    Input shape:
        `(batch, bins, frames, channels)`

    Output shape:
        The same.

    Example:
        >>> BatchNorm()(keras.random.normal((2, 21, 26, 64)), training=True).shape
        TensorShape([2, 21, 26, 64])

    Reference:
        - Ioffe and Szegedy, "Batch normalization: accelerating deep network training
          by reducing internal covariate shift", ICML 2015
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise `inputs`."""
        # The statistics of several devices are gathered between the operations.
        is_whole = not self.synchronized and _is_fusible(inputs)
        if not (training and self.trainable and is_whole):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        result = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.cast(self.gamma, "float32"),
            offset=ops.cast(self.beta, "float32"),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
        )
        # It returns the unbiased variance, where Keras keeps the biased one.
        values = ops.cast(ops.prod(ops.shape(inputs)[:3]), "float32")
        variance = result.batch_variance * (values - 1) / values
        self._move(self.moving_mean, result.batch_mean)
        self._move(self.moving_variance, variance)
        return result.y

    def _move(self, average: Any, value: Any) -> None:
        moved = average * self.momentum + value * (1 - self.momentum)
        average.assign(ops.stop_gradient(ops.cast(moved, average.dtype)))


def _is_fusible(inputs: Any) -> bool:
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    known = dtype in ("float32", "float16", "bfloat16") and len(inputs.shape) == 4
    return known and keras.backend.backend() == "tensorflow"


def affine(norm: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Return the scale and shift that a batch normalisation has at inference.

    Returns:
        float64 (channels,) each.
    """
    scale = 1 / np.sqrt(_float64(norm.moving_variance) + norm.epsilon)
    if norm.scale:
        scale = scale * _float64(norm.gamma)
    shift = -_float64(norm.moving_mean) * scale
    if norm.center:
        shift = shift + _float64(norm.beta)
    return scale, shift


def _float64(variable: Any) -> np.ndarray:
    return ops.convert_to_numpy(variable).astype(np.float64)
