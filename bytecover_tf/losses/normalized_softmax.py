"""Classification by the cosine of embeddings and of a proxy for each work."""

from __future__ import annotations

from keras import ops

from bytecover_tf.layers.tensor import Tensor

TEMPERATURE = 0.05


def cosine_logits(
    embeddings: Tensor, proxies: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """Return the logits of the normalised softmax.

    Args:
        embeddings: (batch, dim), of any norm.
        proxies: (dim, works), of any norm; one column stands for a work.
        temperature: what cosines are divided by.

    Returns:
        float32 (batch, works).

    Reference:
        - Zhai and Wu, "Classification is a strong baseline for deep metric learning",
          BMVC 2019; temperature as in Re-MOVE (`configs/remove.py`)
    """
    embeddings = ops.normalize(ops.cast(embeddings, "float32"), axis=-1)
    proxies = ops.normalize(ops.cast(proxies, "float32"), axis=0)
    return ops.matmul(embeddings, proxies) / temperature
