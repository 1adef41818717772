"""Learning how far apart a trained encoder holds recordings."""

from __future__ import annotations

from keras import ops

from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.losses.distances import pairwise_squared


def distance_distillation(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Return how much the distances of a batch differ from those of a teacher.

    The mean of `|d_s - d_t|` over all pairs of two recordings, with d the squared
    Euclidean distance in the student's space and in the teacher's. The spaces may have
    any number of dimensions. So that distances are comparable, embeddings are scaled
    to make the squared distance a mean over dimensions, as MOVE's are.

    Args:
        embeddings: the student's, (batch, dim).
        targets: the teacher's, (batch, any dim).

    Returns:
        float32 scalar; 0 for a single recording.

    Reference:
        - Yesiler, Serra and Gomez, "Less is more: faster and better music version
          identification with embedding distillation", ISMIR 2020
    """
    count = ops.cast(ops.shape(embeddings)[0], "float32")
    differences = ops.abs(pairwise_squared(embeddings) - pairwise_squared(targets))
    # Rounding may leave a recording a little apart from itself.
    others = 1.0 - ops.eye(ops.shape(embeddings)[0], dtype="float32")
    pairs = ops.maximum(count * (count - 1.0), 1.0)
    return ops.sum(differences * others) / pairs
