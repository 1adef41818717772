"""Local alignment of two recordings' chroma: where they match, and how well.

The similarity of a query's frame and a reference's is the correlation of their chroma,
averaged along with the frames before and after. It counts as far as it stands out both
among all that this frame of the query has and among all that this frame of the
reference has, so that a chord that is everywhere proves nothing. The best path follows
Smith and Waterman's recursion ("Identification of common molecular subsequences", 1981)
with the steps of Qmax (Serra, Serra and Andrzejak, "Cross recurrence quantification for
cover song identification", 2009), which let the tempi differ by up to two. All twelve
transpositions are tried; what the eleven others reach is what chance makes of a pair.

The loops are compiled with numba, which librosa brings, on their first use (seconds),
and kept in its cache if there is one. Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from bytecover_tf.cores import usable_cores
from bytecover_tf.errors import DataError
from bytecover_tf.matching.compiling import compiled

# Chosen by MAP on train and validation splits, see benchmarks/alignment.py.
# Standard deviations by which a similarity must stand out to count for a match. What
# the whole of a pair has in common tells versions best; to tell where a match begins
# and ends takes a stricter measure.
_SCORE_THRESHOLD = 1.1
_PLACE_THRESHOLD = 1.4
# The most that a cell counts against one.
_FLOOR = -3.0
# The share that a cell counts which a step to the side leaves out.
_SKIPPED = 0.5

_compiled = partial(compiled, fastmath=True)


@dataclass(frozen=True)
class Alignment:
    """The best match of a stretch of a query with one of a reference.

    Attributes:
        score: larger for more likely versions, about 0 for none; comparable between
            pairs of any lengths.
        transposition: semitones by which to raise the query to get to the
            reference's key, -5 to 6.
        query_start: first frame of chroma that matches.
        query_end: the frame after the last.
        reference_start: likewise in the reference.
        reference_end: likewise in the reference.
    """

    score: float
    transposition: int
    query_start: int
    query_end: int
    reference_start: int
    reference_end: int

    @property
    def tempo_ratio(self) -> float:
        """The query's tempo over the reference's; not a number if nothing matches."""
        length = self.query_end - self.query_start
        if not length:
            return float("nan")
        return (self.reference_end - self.reference_start) / length


def align(query: np.ndarray, reference: np.ndarray) -> Alignment:
    """Find the stretches of two recordings that match best.

    Args:
        query: uint8 chroma (12, n), as `bytecover_tf.audio.chroma` makes it.
        reference: uint8 chroma (12, m).

    Raises:
        DataError: an array has another shape.
    """
    return _align(_normalized(query).T, _normalized(reference))


def align_many(
    query: np.ndarray, references: Sequence[np.ndarray], workers: int | None = None
) -> list[Alignment]:
    """Align a query with each of several references, in parallel threads.

    Args:
        query: uint8 chroma (12, n).
        references: uint8 chroma (12, m) each.
        workers: threads; by default one a core.

    Raises:
        DataError: an array has another shape.
    """
    frames = _normalized(query).T
    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        return list(
            pool.map(lambda other: _align(frames, _normalized(other)), references)
        )


def _align(query: np.ndarray, reference: np.ndarray) -> Alignment:
    nothing = Alignment(0.0, 0, 0, 0, 0, 0)
    if not len(query) or not reference.shape[1]:
        return nothing
    raised = {
        semitones: np.ascontiguousarray(np.roll(query, semitones, axis=1))
        for semitones in range(-5, 7)
    }
    scores = {
        semitones: _best_score(frames, reference, _SCORE_THRESHOLD)
        for semitones, frames in raised.items()
    }
    transposition = max(scores, key=lambda semitones: scores[semitones])
    best = scores.pop(transposition)
    if not best > 0:
        return nothing
    chance = sum(scores.values()) / len(scores)
    score = (best - chance) / (len(query) * reference.shape[1]) ** 0.25
    places = _best_places(raised[transposition], reference, _PLACE_THRESHOLD)
    return Alignment(score, transposition, *places)


def _normalized(chroma: np.ndarray) -> np.ndarray:
    """Return float32 chroma (12, n), each frame without mean and of norm 1, or zero."""
    chroma = np.asarray(chroma)
    if chroma.ndim != 2 or len(chroma) != 12:
        raise DataError(f"expected chroma of shape (12, n), found {chroma.shape}")
    centred = chroma.astype(np.float32)
    centred -= centred.mean(axis=0)
    norm = np.linalg.norm(centred, axis=0)
    return centred / np.where(norm > 0.1, norm, np.inf).astype(np.float32)


@_compiled
def _best_score(query, reference, threshold):
    """Return the score of the best path.

    Takes frames (n, 12) of the query and chroma (12, m) of the reference, and memory
    that is linear in both.
    """
    length = reference.shape[1]
    in_query, in_reference = _scales(query, reference)
    rows = np.zeros((3, length + 2), np.float32)
    weights = np.zeros((2, length + 1), np.float32)
    # Scores that end in the row before last, the last one and this one, each with two
    # columns of nothing in front.
    before = np.zeros(length + 2, np.float32)
    last = np.zeros(length + 2, np.float32)
    here = np.zeros(length + 2, np.float32)
    highest = np.zeros(length, np.float32)
    for i in range(len(query)):
        now, then = weights[i % 2], weights[1 - i % 2]
        _weigh(i, query, reference, rows, in_query, in_reference, threshold, now)
        # No step stays within a row, and each column has its own maximum, so that the
        # compiler has many columns done at once.
        for j in range(length):
            straight = last[j + 1]
            across = last[j] + np.float32(_SKIPPED) * now[j]
            down = before[j + 1] + np.float32(_SKIPPED) * then[j + 1]
            score = max(max(straight, max(across, down)) + now[j + 1], np.float32(0))
            here[j + 2] = score
            highest[j] = max(highest[j], score)
        before, last, here = last, here, before
    return highest.max()


@_compiled
def _best_places(query, reference, threshold):
    """Return where the best path runs.

    Takes what `_best_score` takes, and returns the first frame and the one after the
    last in the query and in the reference.
    """
    length = reference.shape[1]
    in_query, in_reference = _scales(query, reference)
    rows = np.zeros((3, length + 2), np.float32)
    weights = np.zeros((2, length + 1), np.float32)
    scores = np.zeros((3, length + 2), np.float32)
    starts = np.zeros((3, length + 2, 2), np.int64)
    best = np.float32(0)
    places = (0, 0, 0, 0)
    for i in range(len(query)):
        now, then = weights[i % 2], weights[1 - i % 2]
        _weigh(i, query, reference, rows, in_query, in_reference, threshold, now)
        here, last, before = i % 3, (i - 1) % 3, (i - 2) % 3
        for j in range(length):
            row, column, reached = last, j + 1, scores[last, j + 1]
            across = scores[last, j] + np.float32(_SKIPPED) * now[j]
            if across > reached:
                row, column, reached = last, j, across
            down = scores[before, j + 1] + np.float32(_SKIPPED) * then[j + 1]
            if down > reached:
                row, column, reached = before, j + 1, down
            score = max(reached + now[j + 1], np.float32(0))
            scores[here, j + 2] = score
            if scores[row, column] > 0:
                starts[here, j + 2] = starts[row, column]
            else:
                starts[here, j + 2, 0] = i
                starts[here, j + 2, 1] = j
            if score > best:
                best = score
                start = starts[here, j + 2]
                places = (start[0], i + 1, start[1], j + 1)
    return places


@_compiled
def _weigh(i, query, reference, rows, in_query, in_reference, threshold, weights):
    """Fill in what the cells of row i count, behind a zero."""
    similarity = weights[1:]
    _similarities(i, query, reference, rows, similarity)
    factor, shift = in_query[:, i]
    for j in range(len(similarity)):
        among_row = similarity[j] * factor - shift
        among_column = similarity[j] * in_reference[0, j] - in_reference[1, j]
        excess = min(among_row, among_column) - np.float32(threshold)
        similarity[j] = max(excess, np.float32(_FLOOR))


@_compiled
def _scales(query, reference):
    """Return how the similarities of each frame are distributed.

    For the query's frames (2, n) and the reference's (2, m): by what to multiply a
    similarity and what to subtract then, for mean 0 and variance 1.
    """
    count, length = len(query), reference.shape[1]
    rows = np.zeros((3, length + 2), np.float32)
    similarity = np.zeros(length, np.float32)
    in_query = np.zeros((2, count), np.float32)
    in_reference = np.zeros((2, length), np.float32)
    for i in range(count):
        _similarities(i, query, reference, rows, similarity)
        total = np.float32(0)
        square = np.float32(0)
        for j in range(length):
            value = similarity[j]
            total += value
            square += value * value
            in_reference[0, j] += value
            in_reference[1, j] += value * value
        in_query[0, i] = total
        in_query[1, i] = square
    _standardize(in_query, length)
    _standardize(in_reference, count)
    return in_query, in_reference


@_compiled
def _standardize(sums, count):
    """Turn sums and sums of squares into factors and shifts."""
    for j in range(sums.shape[1]):
        mean = sums[0, j] / np.float32(count)
        variance = sums[1, j] / np.float32(count) - mean * mean
        factor = 1 / np.sqrt(max(variance, np.float32(1e-6)))
        sums[0, j] = factor
        sums[1, j] = factor * mean


@_compiled
def _similarities(i, query, reference, rows, similarity):
    """Fill in the similarities of row i; i goes up by one from 0.

    `rows` (3, m + 2) starts as zeros and keeps the correlations of the query's frames
    i - 1, i and i + 1.
    """
    if i == 0:
        _correlate(query[0], reference, rows[2])
    rows[0] = rows[1]
    rows[1] = rows[2]
    if i + 1 < len(query):
        _correlate(query[i + 1], reference, rows[2])
    else:
        rows[2] = 0
    for j in range(len(similarity)):
        similarity[j] = (rows[0, j] + rows[1, j + 1] + rows[2, j + 2]) / np.float32(3)


@_compiled
def _correlate(frame, reference, row):
    """Fill in a frame's correlations, between two zeros."""
    for j in range(reference.shape[1]):
        total = np.float32(0)
        for pitch in range(12):
            total += frame[pitch] * reference[pitch, j]
        row[j + 1] = total
