"""Distances between all pairs of a batch."""

from __future__ import annotations

from keras import ops

from bytecover_tf.layers.tensor import Tensor


def pairwise_squared(embeddings: Tensor) -> Tensor:
    """Return the squared Euclidean distance of every pair.

    Args:
        embeddings: (batch, dim).

    Returns:
        float32 (batch, batch), symmetric, never below 0.
    """
    embeddings = ops.cast(embeddings, "float32")
    squares = ops.sum(ops.square(embeddings), axis=1)
    products = ops.matmul(embeddings, ops.transpose(embeddings))
    return ops.relu(squares[:, None] - 2.0 * products + squares[None, :])


def pairwise_euclidean(embeddings: Tensor) -> Tensor:
    """Return the Euclidean distance of every pair.

    The gradient of the square root is infinite at zero. So equal pairs are treated
    apart: their distance and gradient are both 0.

    Args:
        embeddings: (batch, dim).

    Returns:
        float32 (batch, batch), symmetric, zero on the diagonal.
    """
    embeddings = ops.cast(embeddings, "float32")
    squares = ops.sum(ops.square(embeddings), axis=1)
    products = ops.matmul(embeddings, ops.transpose(embeddings))
    squared = squares[:, None] - 2.0 * products + squares[None, :]
    # Where the distance is 0, rounding leaves a small value of either sign.
    floor = 1e-6 * (squares[:, None] + squares[None, :])
    apart = squared > floor
    return ops.where(apart, ops.sqrt(ops.where(apart, squared, 1.0)), 0.0)
