"""Local alignment of two recordings' chroma: where they match, and how well.

Chroma has one or more parts of twelve pitch classes, such as all notes, the melody and
the transform itself. The similarity of a query's frame and a reference's is the
weighted mean of the parts' correlations, averaged along with the frames before and
after. It counts as far as it stands out both among all that this frame of the query has
and among all that this frame of the reference has, so that a chord that is everywhere
proves nothing.
The best path follows Smith and Waterman's recursion ("Identification of common
molecular subsequences", 1981) with the steps of Qmax (Serra, Serra and Andrzejak,
"Cross recurrence quantification for cover song identification", 2009), which let the
tempi differ by up to two. All twelve transpositions are tried; what the eleven others
reach is what chance makes of a pair.

A transposition turns the pitch classes on their ring, so the similarities of all
twelve follow from one product of the frames' Fourier transforms over pitch class: 21
multiplications a part and cell in place of 144.

The loops are compiled with numba, which librosa brings, on their first use (seconds),
and kept in its cache if there is one. Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from bytecover_tf.audio.chroma import PITCH_CLASSES, part_weights
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
# The least variance that similarities are taken to have.
_LEAST_VARIANCE = 1e-6

# Cosines and sines of the ring's frequencies 0 to 5 at transpositions by 0 to 5.
_ANGLES = 2 * np.pi * np.outer(np.arange(6), np.arange(6)) / PITCH_CLASSES
_COSINES = np.cos(_ANGLES).astype(np.float32)
_SINES = np.sin(_ANGLES).astype(np.float32)

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
        query: uint8 chroma (12 * parts, n), as `bytecover_tf.audio.chroma` makes it.
        reference: uint8 chroma (12 * parts, m).

    Raises:
        DataError: an array has another shape, or the two have not as many parts.
    """
    return _align(_Frames.of(query), _Frames.of(reference))


def align_many(
    query: np.ndarray, references: Sequence[np.ndarray], workers: int | None = None
) -> list[Alignment]:
    """Align a query with each of several references, in parallel threads.

    Args:
        query: uint8 chroma (12 * parts, n).
        references: uint8 chroma (12 * parts, m) each.
        workers: threads; by default one a core.

    Raises:
        DataError: an array has another shape, or another number of parts.
    """
    frames = _Frames.of(query)
    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        return list(
            pool.map(lambda other: _align(frames, _Frames.of(other)), references)
        )


def frame_similarities(
    query: np.ndarray, reference: np.ndarray, transposition: int
) -> np.ndarray:
    """Return how alike each two frames are: their parts' correlations, weighted.

    Args:
        query: uint8 chroma (12 * parts, n).
        reference: uint8 chroma (12 * parts, m).
        transposition: semitones to raise the query by.

    Returns:
        float32 (n, m), -1 to 1.
    """
    return _Frames.of(query).raised(transposition).T @ _Frames.of(reference).raised(0)


@dataclass(frozen=True)
class _Frames:
    """The frames of a recording, ready for products.

    Attributes:
        chroma: float32 (parts, 12, n). A part of a frame has no mean, and the norm
            that makes products over all parts the weighted mean of their correlations;
            where it is silent, it is 0.
        spectra: float32 (11, parts, n), its Fourier transform over pitch class: real
            and imaginary part of the frequencies 1 to 5, and the real one of 6.
    """

    chroma: np.ndarray
    spectra: np.ndarray

    @classmethod
    def of(cls, chroma: np.ndarray) -> _Frames:
        """Prepare uint8 chroma (12 * parts, n)."""
        chroma = np.asarray(chroma)
        if chroma.ndim != 2 or not len(chroma) or len(chroma) % PITCH_CLASSES:
            raise DataError(
                "expected chroma of shape (12, n), or of as many rows for each of "
                f"several parts, found {chroma.shape}"
            )
        parts = len(chroma) // PITCH_CLASSES
        centred = chroma.reshape(parts, PITCH_CLASSES, -1).astype(np.float32)
        centred -= centred.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(centred, axis=1, keepdims=True)
        share = np.sqrt(part_weights(parts))[:, np.newaxis, np.newaxis]
        centred *= np.where(norm > 0.1, share / np.maximum(norm, 0.1), 0)
        waves = np.fft.rfft(centred, axis=1)[:, 1:].transpose(1, 0, 2)
        spectra = np.stack([waves.real, waves.imag], axis=1)
        # That of frequency 6 is real.
        flat = spectra.reshape(PITCH_CLASSES, parts, -1)[:-1]
        return cls(centred, np.ascontiguousarray(flat, np.float32))

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.chroma.shape[2]

    def raised(self, semitones: int) -> np.ndarray:
        """Return the chroma in another key, float32 (12 * parts, n)."""
        return np.roll(self.chroma, semitones, axis=1).reshape(-1, self.count)


def _align(query: _Frames, reference: _Frames) -> Alignment:
    if len(query.chroma) != len(reference.chroma):
        raise DataError(
            f"expected chroma of as many parts, found {len(query.chroma)} in the "
            f"query and {len(reference.chroma)} in the reference"
        )
    nothing = Alignment(0.0, 0, 0, 0, 0, 0)
    if not query.count or not reference.count:
        return nothing
    scores = _best_scores(
        query.spectra, reference.spectra, _COSINES, _SINES, np.float32(_SCORE_THRESHOLD)
    ).astype(float)
    transposition = int(scores.argmax())
    best = scores[transposition]
    if not best > 0:
        return nothing
    chance = (scores.sum() - best) / (len(scores) - 1)
    score = (best - chance) / (query.count * reference.count) ** 0.25
    places = _best_places(
        np.ascontiguousarray(query.raised(transposition).T),
        reference.raised(0),
        _PLACE_THRESHOLD,
    )
    # From -5 to 6.
    return Alignment(score, (transposition + 5) % PITCH_CLASSES - 5, *places)


@_compiled
def _best_scores(query, reference, cosines, sines, threshold):
    """Return the score of the best path in each transposition, from 0 to 11.

    Takes spectra (11, parts, n) and (11, parts, m), and memory that is linear in both.
    """
    count, length = query.shape[2], reference.shape[2]
    products = np.zeros((3, 11, length), np.float32)
    here = np.zeros((12, length), np.float32)
    in_query = np.zeros((12, 2, count), np.float32)
    in_reference = np.zeros((12, 2, length), np.float32)
    for i in range(count):
        _turn(i, query, reference, cosines, sines, products, here)
        for s in range(12):
            _tally(here[s], i, in_query[s], in_reference[s])
    for s in range(12):
        _standardize(in_query[s], length)
        _standardize(in_reference[s], count)
    # Of each transposition, scores that end in this row and in the two before, each
    # with two columns of nothing in front.
    scores = np.zeros((3, 12, length + 2), np.float32)
    weights = np.zeros((2, 12, length + 1), np.float32)
    highest = np.zeros((12, length), np.float32)
    for i in range(count):
        _turn(i, query, reference, cosines, sines, products, here)
        for s in range(12):
            now, then = weights[i % 2, s], weights[1 - i % 2, s]
            now[1:] = here[s]
            _weigh(in_query[s, :, i], in_reference[s], threshold, now[1:])
            reached, last = scores[i % 3, s], scores[(i - 1) % 3, s]
            before, peak = scores[(i - 2) % 3, s], highest[s]
            # No step stays within a row, and each column has its own maximum, so that
            # the compiler has many columns done at once.
            for j in range(length):
                across = last[j] + np.float32(_SKIPPED) * now[j]
                down = before[j + 1] + np.float32(_SKIPPED) * then[j + 1]
                score = max(last[j + 1], max(across, down)) + now[j + 1]
                reached[j + 2] = max(score, np.float32(0))
                peak[j] = max(peak[j], reached[j + 2])
    best = np.zeros(12, np.float32)
    for s in range(12):
        best[s] = highest[s].max()
    return best


@_compiled
def _turn(i, query, reference, cosines, sines, products, similarity):
    """Fill in the similarities (12, m) of row i in all keys; i goes up by one from 0.

    `products` (3, 11, m) keeps what the query's frames i - 1, i and i + 1 give.
    """
    length = similarity.shape[1]
    here, last, coming = products[i % 3], products[(i - 1) % 3], products[(i + 1) % 3]
    if i == 0:
        last[:] = 0
        _multiply(query[:, :, 0], reference, here)
    if i + 1 < query.shape[2]:
        _multiply(query[:, :, i + 1], reference, coming)
    else:
        coming[:] = 0
    # One diagonal of three frames.
    wave = np.empty((11, length), np.float32)
    for k in range(11):
        wave[k] = here[k]
        for j in range(1, length):
            wave[k, j] += last[k, j - 1]
        for j in range(length - 1):
            wave[k, j] += coming[k, j + 1]
    share = np.float32(1 / 18)  # of three frames; a real wave counts twice, over 12
    for s in range(6):
        # Half a turn further, the odd frequencies change their sign.
        sign = np.float32(1 - 2 * (s % 2))
        for j in range(length):
            even = (
                cosines[2, s] * wave[2, j]
                - sines[2, s] * wave[3, j]
                + cosines[4, s] * wave[6, j]
                - sines[4, s] * wave[7, j]
                + sign * wave[10, j]
            )
            odd = (
                cosines[1, s] * wave[0, j]
                - sines[1, s] * wave[1, j]
                + cosines[3, s] * wave[4, j]
                - sines[3, s] * wave[5, j]
                + cosines[5, s] * wave[8, j]
                - sines[5, s] * wave[9, j]
            )
            similarity[s, j] = share * (even + odd)
            similarity[s + 6, j] = share * (even - odd)


@_compiled
def _multiply(frame, reference, product):
    """Fill in the cross spectra (11, m) of a frame (11, parts)."""
    product[:] = 0
    for part in range(frame.shape[1]):
        for k in range(0, 10, 2):
            real, imaginary = frame[k, part], frame[k + 1, part]
            for j in range(product.shape[1]):
                other, another = reference[k, part, j], reference[k + 1, part, j]
                product[k, j] += real * other + imaginary * another
                product[k + 1, j] += real * another - imaginary * other
        # It is its own mirror image, and so counts once where others count twice.
        half = np.float32(0.5) * frame[10, part]
        for j in range(product.shape[1]):
            product[10, j] += half * reference[10, part, j]


@_compiled
def _best_places(query, reference, threshold):
    """Return where the best path runs.

    Takes frames (n, 12 * parts) of the query, in the reference's key, and chroma
    (12 * parts, m) of the reference. Returns the first frame and the one after the
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
        _similarities(i, query, reference, rows, now[1:])
        _weigh(in_query[:, i], in_reference, threshold, now[1:])
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
def _weigh(in_query, in_reference, threshold, similarity):
    """Turn a row of similarities into what its cells count."""
    factor, shift = in_query[0], in_query[1] + threshold
    for j in range(len(similarity)):
        among_row = similarity[j] * factor - shift
        among_column = similarity[j] * in_reference[0, j] - in_reference[1, j]
        excess = min(among_row, among_column - threshold)
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
        _tally(similarity, i, in_query, in_reference)
    _standardize(in_query, length)
    _standardize(in_reference, count)
    return in_query, in_reference


@_compiled
def _tally(similarity, i, in_query, in_reference):
    """Add a row to the sums and sums of squares of frame i and of all columns."""
    total = np.float32(0)
    square = np.float32(0)
    for j in range(len(similarity)):
        value = similarity[j]
        total += value
        square += value * value
        in_reference[0, j] += value
        in_reference[1, j] += value * value
    in_query[0, i] = total
    in_query[1, i] = square


@_compiled
def _standardize(sums, count):
    """Turn sums and sums of squares into factors and shifts."""
    for j in range(sums.shape[1]):
        mean = sums[0, j] / np.float32(count)
        variance = sums[1, j] / np.float32(count) - mean * mean
        factor = 1 / np.sqrt(max(variance, np.float32(_LEAST_VARIANCE)))
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
        for pitch in range(len(frame)):
            total += frame[pitch] * reference[pitch, j]
        row[j + 1] = total
