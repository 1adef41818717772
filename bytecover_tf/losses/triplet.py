"""Batch-hard triplet loss."""

from __future__ import annotations

from typing import Literal

from keras import ops

from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.losses.distances import pairwise_euclidean, pairwise_squared

_PAIRWISE = {"euclidean": pairwise_euclidean, "squared": pairwise_squared}


def batch_hard_triplet(
    embeddings: Tensor,
    works: Tensor,
    margin: float = 0.3,
    distance: Literal["euclidean", "squared"] = "euclidean",
) -> Tensor:
    """Return the triplet loss of each anchor's hardest pair (paper, equation 3).

    `[d_p - d_n + margin]_+` with d_p the distance to the farthest version of the
    anchor's work and d_n that to the nearest recording of another work, averaged
    over the anchors that have both. An anchor without either adds nothing, and a
    batch without any valid anchor has loss 0.

    Args:
        embeddings: f_t, (batch, dim).
        works: integer labels, (batch,).
        margin: how much nearer versions must be than others.
        distance: which is compared; with `squared`, one recording far from its
            versions costs far more.

    Returns:
        float32 scalar.

    Reference:
        - Hermans et al., "In defense of the triplet loss for person
          re-identification", 2017
    """
    distances = _PAIRWISE[distance](embeddings)
    works = ops.reshape(works, (-1,))
    same = works[:, None] == works[None, :]
    itself = ops.eye(ops.shape(works)[0], dtype="bool")
    positive = ops.logical_and(same, ops.logical_not(itself))
    negative = ops.logical_not(same)
    valid = ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))

    farthest = ops.max(ops.where(positive, distances, 0.0), axis=1)
    nearest = ops.min(ops.where(negative, distances, float("inf")), axis=1)
    # An infinite distance must not reach the subtraction, where it would make the
    # gradient undefined.
    nearest = ops.where(valid, nearest, 0.0)
    hinge = ops.where(valid, ops.relu(farthest - nearest + margin), 0.0)
    return ops.sum(hinge) / ops.maximum(ops.sum(ops.cast(valid, "float32")), 1.0)
