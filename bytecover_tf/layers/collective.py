"""Operations that the replicas of a model perform together in a training step.

With a single replica, each function returns its input unchanged. So it does on backends
other than TensorFlow, where several replicas are not supported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from bytecover_tf.layers.tensor import Tensor


def gather(rows: Tensor) -> Tensor:
    """Return the rows of all replicas, those of the first replica first.

    The gradient of a row is the sum of its gradients on all replicas.

    Args:
        rows: (n, ...), the same n on every replica.
    """
    context = _context()
    if context is None:
        return rows
    import tensorflow as tf

    # Between hosts, TensorFlow cannot gather what is an input of the step itself.
    return context.all_gather(tf.identity(rows), axis=0)


def total(values: Tensor) -> Tensor:
    """Return the sum over all replicas; gradients are summed likewise."""
    context = _context()
    return values if context is None else context.all_reduce("SUM", values)


def share_of_mean(loss: Tensor) -> Tensor:
    """Return this replica's part of the mean loss; gradients are summed over parts."""
    context = _context()
    return loss if context is None else loss / context.num_replicas_in_sync


def agree_on_finite(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return gradients that are finite on every replica or on none.

    Weights that the loss does not depend on have none.

    Under mixed precision, a step is skipped if a gradient overflows. Keras 3.15 decides
    this on each replica before it sums the gradients. If only one replica skips the
    step, the others wait for it forever.
    """
    if _context() is None:
        return list(gradients)
    import tensorflow as tf

    finite = [
        tf.reduce_all(tf.math.is_finite(gradient))
        for gradient in gradients
        if gradient is not None
    ]
    overflow = 1.0 - tf.cast(tf.reduce_all(finite), "float32")
    poison = tf.where(total(overflow) > 0, float("nan"), 0.0)
    return [
        None if gradient is None else gradient + tf.cast(poison, gradient.dtype)
        for gradient in gradients
    ]


def synchronise(model: keras.Model) -> None:
    """Let batch normalisation use the statistics of the whole batch."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def _context() -> Any:
    """Return TensorFlow's context of the running replica, or None if it is alone."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context
