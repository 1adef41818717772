"""How alike recordings are by windows of them."""

from __future__ import annotations

from keras import ops

from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.losses.contrastive import unit_norm


def window_similarities(windows: Tensor, works: Tensor) -> Tensor:
    """Return how alike each two recordings are by their windows.

    Two versions need not share all that they play, nor in the same order: the best pair
    of windows counts, then the best pair among the windows that are left, and so on,
    for half of the windows; their cosines are averaged. Two recordings of different
    works must not resemble each other anywhere, so their nearest pair counts.

    Args:
        windows: (batch, n, dim), of any norm.
        works: integer labels, (batch,).

    Returns:
        float32 (batch, batch), symmetric, from -1 to 1.

    Reference:
        - Serra, Araz, Bogdanov and Mitsufuji, "Supervised contrastive learning from
          weakly-labeled audio segments for musical version matching", ICML 2025
    """
    works = ops.reshape(works, (-1,))
    count, dim = windows.shape[1:]
    unit = ops.reshape(unit_norm(windows), (-1, dim))
    cosines = ops.matmul(unit, ops.transpose(unit))
    cosines = ops.reshape(cosines, (-1, count, ops.shape(windows)[0], count))
    left = ops.transpose(cosines, (0, 2, 1, 3))
    numbers = ops.arange(count)
    best = []
    for _ in range(max(count // 2, 1)):
        best.append(ops.max(left, axis=(2, 3)))
        # Of windows that are equal, one pair is taken.
        pairs = ops.reshape(left, (-1, ops.shape(left)[1], count * count))
        taken = ops.argmax(pairs, axis=2)[:, :, None, None]
        window = numbers[:, None] == taken // count
        other = numbers[None, :] == taken % count
        left = ops.where(ops.logical_or(window, other), -2.0, left)
    versions = sum(best) / len(best)
    same = works[:, None] == works[None, :]
    return ops.where(same, versions, best[0])
