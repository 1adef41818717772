"""Supervised contrastive loss."""

from __future__ import annotations

from keras import ops

from bytecover_tf.layers.tensor import Tensor


def supervised_contrastive(
    embeddings: Tensor, works: Tensor, temperature: float = 0.1
) -> Tensor:
    """Return the loss of telling an anchor's versions from all else in the batch.

    For each anchor, `log sum exp(s / t)` over all other recordings minus the mean of
    `s / t` over its versions, with s the cosine; averaged over the anchors that have a
    version. It needs no classifier, so its cost does not grow with the number of works.

    Args:
        embeddings: (batch, dim), of any norm.
        works: integer labels, (batch,).
        temperature: t; lower looks at the hardest pairs only.

    Returns:
        float32 scalar.

    Reference:
        - Khosla et al., "Supervised contrastive learning", NeurIPS 2020, equation 2
    """
    unit = unit_norm(embeddings)
    return contrastive(ops.matmul(unit, ops.transpose(unit)), works, temperature)


def unit_norm(embeddings: Tensor) -> Tensor:
    """Return embeddings (..., dim) in float32, scaled to a length of 1."""
    embeddings = ops.cast(embeddings, "float32")
    squares = ops.sum(ops.square(embeddings), axis=-1, keepdims=True)
    return embeddings * ops.rsqrt(squares + 1e-9)


def contrastive(similarities: Tensor, works: Tensor, temperature: float) -> Tensor:
    """Return the loss of `supervised_contrastive` for any similarities.

    Args:
        similarities: s, from -1 to 1, (batch, batch).
        works: integer labels, (batch,).
        temperature: t.

    Returns:
        float32 scalar.
    """
    logits = similarities / temperature
    works = ops.reshape(works, (-1,))
    itself = ops.eye(ops.shape(works)[0], dtype="bool")
    same = works[:, None] == works[None, :]
    versions = ops.cast(ops.logical_and(same, ops.logical_not(itself)), "float32")
    count = ops.sum(versions, axis=1)
    valid = ops.cast(count > 0, "float32")
    # A cosine cannot be below -1, so this leaves the anchor itself out.
    others = ops.where(itself, -1e9, logits)
    attraction = ops.sum(versions * logits, axis=1) / ops.maximum(count, 1.0)
    losses = valid * (ops.logsumexp(others, axis=1) - attraction)
    return ops.sum(losses) / ops.maximum(ops.sum(valid), 1.0)
