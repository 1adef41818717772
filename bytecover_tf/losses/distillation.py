"""Learning from the embeddings of a trained encoder."""

from __future__ import annotations

from keras import ops

from bytecover_tf.layers.tensor import Tensor

# Weight of the mean cosine against the contrast, which is in nats.
ATTRACTION = 10.0


def distillation(
    embeddings: Tensor, targets: Tensor, works: Tensor, temperature: float = 0.07
) -> Tensor:
    """Return the loss of embedding recordings where a teacher embeds them.

    Minus `ATTRACTION` times the mean cosine of an embedding and its target, plus a
    contrast: for each embedding, `log sum exp(s / t)` over all targets minus the mean
    of `s / t` over those of its work, with s the cosine. A model could satisfy the
    first term alone by the direction that all targets share. The second term demands
    what tells works apart.

    Args:
        embeddings: (batch, dim), of any norm.
        targets: the teacher's, (batch, dim), of any norm.
        works: integer labels, (batch,).
        temperature: t.

    Returns:
        float32 scalar.

    Reference:
        - the contrast of student and teacher: Tian et al., "Contrastive representation
          distillation", ICLR 2020
    """
    embeddings, targets = _unit(embeddings), _unit(targets)
    works = ops.reshape(works, (-1,))
    same = ops.cast(works[:, None] == works[None, :], "float32")
    logits = ops.matmul(embeddings, ops.transpose(targets)) / temperature
    attraction = ops.sum(same * logits, axis=1) / ops.sum(same, axis=1)
    contrast = ops.mean(ops.logsumexp(logits, axis=1) - attraction)
    cosine = ops.mean(ops.sum(embeddings * targets, axis=1))
    return contrast - ATTRACTION * cosine


def _unit(x: Tensor) -> Tensor:
    return ops.normalize(ops.cast(x, "float32"), axis=-1)
