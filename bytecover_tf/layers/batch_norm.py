"""Batch normalisation of feature maps."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from bytecover_tf.layers.collective import total
from bytecover_tf.layers.tensor import Tensor


@keras.saving.register_keras_serializable(package="bytecover_tf")
class BatchNorm(keras.layers.BatchNormalization):
    """Keras's batch normalisation, computed faster in TensorFlow training.

    Keras composes it from some ten operations, with as many in the gradient, and each
    of them passes over the whole map. TensorFlow has a single operation for each
    direction. With statistics over several replicas (`synchronized`), Keras exchanges
    three sums forwards and two backwards; this layer exchanges one each way. On other
    backends and in float64 it does what Keras does. Results differ only by rounding.

    Args:
        **kwargs: as for `keras.layers.BatchNormalization`.

    Input shape:
        `(batch, ..., channels)`

    Output shape:
        The same.

    Example:
        >>> BatchNorm()(keras.random.normal((2, 21, 26, 64)), training=True).shape
        TensorShape([2, 21, 26, 64])

    Reference:
        - Ioffe and Szegedy, "Batch normalization: accelerating deep network training
          by reducing internal covariate shift", ICML 2015
    """

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Normalise `inputs`."""
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        if self.synchronized:
            return self._normalise_together(inputs)
        if not (self.scale and self.center and _is_fusible(inputs)):
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
        # The operation returns the unbiased variance, but Keras keeps the biased one.
        values = ops.cast(ops.prod(ops.shape(inputs)[:3]), "float32")
        variance = result.batch_variance * (values - 1) / values
        self._move(self.moving_mean, result.batch_mean)
        self._move(self.moving_variance, variance)
        return result.y

    def _normalise_together(self, inputs: Tensor) -> Tensor:
        """Normalise by the statistics of all replicas."""
        x = ops.cast(inputs, "float32")
        axes = tuple(range(len(x.shape) - 1))
        count = ops.cast(ops.prod(ops.shape(x)[:-1]), "float32")
        parts = [ops.sum(x, axes), ops.sum(ops.square(x), axes), ops.reshape(count, 1)]
        sums = total(ops.concatenate(parts))
        mean, square = ops.split(sums[:-1] / sums[-1], 2)
        variance = ops.maximum(square - ops.square(mean), 0.0)
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance)
        gamma, beta = (
            None if weight is None else ops.cast(weight, "float32")
            for weight in (self.gamma, self.beta)
        )
        result = ops.batch_normalization(
            x, mean, variance, -1, offset=beta, scale=gamma, epsilon=self.epsilon
        )
        return ops.cast(result, inputs.dtype)

    def _move(self, average: Tensor, value: Tensor) -> None:
        moved = average * self.momentum + value * (1 - self.momentum)
        average.assign(ops.stop_gradient(ops.cast(moved, average.dtype)))


@keras.saving.register_keras_serializable(package="bytecover_tf")
class BatchNormalization(BatchNorm):
    """The same by Keras's name.

    Files of weights name the layers of a list after their class, so this reads what
    Keras's own layer wrote.
    """


def _is_fusible(inputs: Tensor) -> bool:
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


def _float64(variable: Tensor) -> np.ndarray:
    return ops.convert_to_numpy(variable).astype(np.float64)
