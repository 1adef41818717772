"""Qmax as published; benchmarks compare alignment with it.

After Serra, Serra and Andrzejak, "Cross recurrence quantification for cover song
identification", New Journal of Physics 11, 2009, with the parameters found there.
"""

from __future__ import annotations

import numpy as np

from bytecover_tf.matching.compiling import compiled


def cross_recurrence(
    query: np.ndarray, reference: np.ndarray, stack: int = 9, nearest: float = 0.095
) -> np.ndarray:
    """Return where two recordings are in the same state.

    The query is transposed so that the summed chroma of both recordings agree best (the
    optimal transposition index).

    Args:
        query: chroma (12, n).
        reference: chroma (12, m).
        stack: how many frames in a row make a state.
        nearest: share of the other recording's states that count as neighbours.

    Returns:
        Boolean (n - stack + 1, m - stack + 1), true where two states are each among the
        nearest neighbours of the other.
    """
    query, reference = query.astype(float), reference.astype(float)
    profile = reference.sum(axis=1)
    agreement = [
        np.roll(query.sum(axis=1), semitones) @ profile for semitones in range(12)
    ]
    states = _stacked(np.roll(query, int(np.argmax(agreement)), axis=0), stack)
    others = _stacked(reference, stack)
    squares = (states**2).sum(axis=1)[:, np.newaxis] + (others**2).sum(axis=1)
    distance = squares - 2 * states @ others.T
    in_row = np.quantile(distance, nearest, axis=1, keepdims=True)
    in_column = np.quantile(distance, nearest, axis=0, keepdims=True)
    return (distance <= in_row) & (distance <= in_column)


def _stacked(chroma: np.ndarray, stack: int) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(chroma, stack, axis=1)
    return windows.transpose(1, 2, 0).reshape(windows.shape[1], -1)


@compiled
def qmax(recurrence, onset=0.5, extension=0.5):
    """Return the length of the longest diagonal, curved and with gaps.

    Args:
        recurrence: boolean (n, m).
        onset: what the first cell of a gap costs.
        extension: what each further cell costs.
    """
    rows, columns = recurrence.shape
    scores = np.zeros((rows, columns))
    best = 0.0
    # As published, the first two rows and columns stay zero.
    for i in range(2, rows):
        for j in range(2, columns):
            reached = 0.0
            for row, column in ((i - 1, j - 1), (i - 2, j - 1), (i - 1, j - 2)):
                score = scores[row, column]
                if not recurrence[i, j]:
                    score -= onset if recurrence[row, column] else extension
                reached = max(reached, score)
            scores[i, j] = reached + recurrence[i, j]
            best = max(best, scores[i, j])
    return best
