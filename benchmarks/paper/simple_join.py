"""SiMPle as published, which the paper compares itself with (table 1).

After Silva et al., "SiMPle: assessing music similarity using subsequences joins",
ISMIR 2016. The distance of two recordings is the median, over all stretches of one,
of the Euclidean distance to the stretch of the other that is most like it.
"""

from __future__ import annotations

import numpy as np


def profiles(
    query: np.ndarray, reference: np.ndarray, length: int = 20
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each stretch is from the nearest one of the other recording.

    The query is transposed to where the sums of both recordings' chroma agree best
    (the optimal transposition index).

    Args:
        query: chroma (12, n).
        reference: chroma (12, m).
        length: frames of a stretch, 10 s as published; all of a shorter recording.

    Returns:
        Matrix profiles (n - length + 1,) of the query and (m - length + 1,) of the
        reference.
    """
    query, reference = query.astype(float), reference.astype(float)
    length = min(length, query.shape[1], reference.shape[1])
    profile = reference.sum(axis=1)
    agreement = [np.roll(query.sum(axis=1), keys) @ profile for keys in range(12)]
    query = np.roll(query, int(np.argmax(agreement)), axis=0)
    # Squared distances of frames, added up along diagonals.
    squares = (query**2).sum(axis=0)[:, np.newaxis] + (reference**2).sum(axis=0)
    frames = np.pad(squares - 2 * query.T @ reference, ((1, 0), (1, 0)))
    for i in range(1, len(frames)):
        frames[i, 1:] += frames[i - 1, :-1]
    sums = frames[length:, length:] - frames[:-length, :-length]
    distances = np.sqrt(np.maximum(sums, 0))
    return distances.min(axis=1), distances.min(axis=0)


def by_simple(chromas: list[np.ndarray]) -> np.ndarray:
    """Return the negative distance of every query (row) to every reference."""
    scores = np.zeros((len(chromas), len(chromas)))
    for i, query in enumerate(chromas):
        for j in range(i):
            of_query, of_reference = profiles(query, chromas[j])
            scores[i, j], scores[j, i] = -np.median(of_query), -np.median(of_reference)
    return scores
