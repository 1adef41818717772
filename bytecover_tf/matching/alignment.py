"""Local alignment of two recordings' chroma: where they match, and how well.

Chroma has one or more parts of twelve pitch classes, such as all notes, the melody and
the transform itself. The similarity of a query's frame and a reference's is the
weighted mean of the parts' correlations, averaged along with the frames before and
after. Some versions share their harmony and others the melody alone, so there may be
several ways to weigh the parts; each is tried, and the best match counts. A similarity
counts as far as it stands out both among all that this frame of the query has
and among all that this frame of the reference has, so that a chord that is everywhere
proves nothing.
The best path follows Smith and Waterman's recursion ("Identification of common
molecular subsequences", 1981) with the steps of Qmax (Serra, Serra and Andrzejak,
"Cross recurrence quantification for cover song identification", 2009), which let the
tempi differ by up to two. All twelve transpositions are tried; what the eleven others
reach is what chance makes of a pair.

The loops are in `bytecover_tf.matching.best_paths`, which is imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from bytecover_tf.audio.chroma import PITCH_CLASSES, overall_weights, part_weights
from bytecover_tf.audio.streaming import mean_blocks
from bytecover_tf.cores import usable_cores
from bytecover_tf.errors import DataError

# Chosen by MAP on train and validation splits, see benchmarks/accuracy/alignment.py.
# Standard deviations by which a similarity must stand out to count for a match. What
# the whole of a pair has in common tells versions best; to tell where a match begins
# and ends takes a stricter measure.
_SCORE_THRESHOLD = 1.1
_PLACE_THRESHOLD = 1.4

# A coarse look takes the mean of so many frames for one, and compares each by itself.
# Chosen on joined passages and long songs, see benchmarks/experiments.md.
_LOOK_POOL = 3
_LOOK_THRESHOLD = 0.9

# Frequencies 1 to 6 of the ring of pitch classes, orthonormal: the real and imaginary
# part of each, and that of 6, which is real. A constant has none of them.
_ANGLES = 2 * np.pi * np.outer(np.arange(1, 7), np.arange(PITCH_CLASSES)) / 12
_WAVES = np.sqrt(1 / 6) * np.stack([np.cos(_ANGLES), -np.sin(_ANGLES)], axis=1)
_WAVES = _WAVES.reshape(PITCH_CLASSES, PITCH_CLASSES)[:-1].astype(np.float32)
_WAVES[-1] /= np.sqrt(2)


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

    @property
    def reversed(self) -> Alignment:
        """The same match, with the reference as the query."""
        return Alignment(
            self.score,
            # Six semitones up and down are one.
            self.transposition if self.transposition == 6 else -self.transposition,
            self.reference_start,
            self.reference_end,
            self.query_start,
            self.query_end,
        )


NOTHING = Alignment(0.0, 0, 0, 0, 0, 0)
"""No stretch matches."""


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
        workers: threads; by default one per core.

    Raises:
        DataError: an array has another shape, or another number of parts.
    """
    frames = _Frames.of(query)
    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        return list(
            pool.map(lambda other: _align(frames, _Frames.of(other)), references)
        )


def look_at_many(
    query: np.ndarray, references: Sequence[np.ndarray], workers: int | None = None
) -> np.ndarray:
    """Say roughly how well a query would align with each of several references.

    Takes a ninth of the time or less. The scores are comparable with each other, not
    with those of an alignment. They mean little where either recording lasts less than
    a minute.

    Args:
        query: uint8 chroma (12 * parts, n).
        references: uint8 chroma (12 * parts, m) each.
        workers: threads; by default one per core.

    Returns:
        (number of references,), larger for more likely versions.

    Raises:
        DataError: an array has another shape, or another number of parts.
    """
    frames = _Frames.of(query, _LOOK_POOL)

    def look(other: np.ndarray) -> float:
        coarse = _Frames.of(other, _LOOK_POOL)
        return _best_key(frames, coarse, _LOOK_THRESHOLD, reach=0).score

    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        return np.array(list(pool.map(look, references)))


def prepare() -> None:
    """Load the loops, or compile them, as a thread can while others read files."""
    frames = np.eye(PITCH_CLASSES, dtype=np.uint8)
    align(frames, frames)


def frame_similarities(
    query: np.ndarray, reference: np.ndarray, transposition: int
) -> np.ndarray:
    """Return how alike each two frames are all in all.

    Args:
        query: uint8 chroma (12 * parts, n).
        reference: uint8 chroma (12 * parts, m).
        transposition: semitones to raise the query by.

    Returns:
        float32 (n, m), -1 to 1.
    """
    one, other = _comparable(query, reference, transposition)
    return one.T @ other


def similarities_along(
    query: np.ndarray, reference: np.ndarray, lags: Iterable[int]
) -> Iterator[np.ndarray]:
    """Yield for each lag how alike the frames are that lie so far apart.

    Both are in one key. No memory is taken for the pairs of all frames.

    Args:
        query: uint8 chroma (12 * parts, n).
        reference: uint8 chroma (12 * parts, m).
        lags: by how many frames the reference is later.

    Returns:
        A diagonal of `frame_similarities` for each lag, as far as both have frames.
    """
    one, other = _comparable(query, reference, 0)
    for lag in lags:
        first, last = max(0, -lag), min(one.shape[1], other.shape[1] - lag)
        last = max(first, last)
        yield np.einsum(
            "ij,ij->j", one[:, first:last], other[:, first + lag : last + lag]
        )


def _comparable(
    query: np.ndarray, reference: np.ndarray, transposition: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return frames as columns whose products are similarities."""
    frames, other = _Frames.of(query), _Frames.of(reference)
    weights = overall_weights(len(frames.spectra))
    raised = frames.raised(transposition).weighted(weights).spectra
    return (
        raised.reshape(-1, raised.shape[-1]),
        other.spectra.reshape(-1, other.spectra.shape[-1]),
    )


@dataclass(frozen=True)
class _Frames:
    """The frames of a recording, ready for products.

    Attributes:
        spectra: float32 (parts, 11, n), each part's Fourier transform over pitch
            class: real and imaginary part of the frequencies 1 to 5, and the real one
            of 6. A frame of a part has norm 1, or 0 where the part is silent.
    """

    spectra: np.ndarray

    @classmethod
    def of(cls, chroma: np.ndarray, pool: int = 1) -> _Frames:
        """Prepare uint8 chroma (12 * parts, n), the mean of `pool` frames as one."""
        chroma = np.asarray(chroma)
        if chroma.ndim != 2 or not len(chroma) or len(chroma) % PITCH_CLASSES:
            raise DataError(
                "expected chroma of shape (12, n), or of as many rows for each of "
                f"several parts, found {chroma.shape}"
            )
        parts = len(chroma) // PITCH_CLASSES
        values = chroma.astype(np.float32)
        if pool > 1:
            values = mean_blocks(values, pool)
        spectra = _WAVES @ values.reshape(parts, PITCH_CLASSES, -1)
        norm = np.sqrt((spectra * spectra).sum(axis=1, keepdims=True))
        spectra *= np.where(norm > 0.1, 1 / np.maximum(norm, 0.1), 0)
        return cls(spectra)

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.spectra.shape[2]

    @property
    def by_frame(self) -> np.ndarray:
        """The spectra as (n, parts, 11)."""
        return np.ascontiguousarray(self.spectra.transpose(2, 0, 1))

    def weighted(self, weights: np.ndarray) -> _Frames:
        """Return the parts that count, each multiplied by its weight of (parts,)."""
        factors = weights[weights > 0, np.newaxis, np.newaxis].astype(np.float32)
        return _Frames(factors * self.among(weights).spectra)

    def among(self, weights: np.ndarray) -> _Frames:
        """Return the parts that count by weights (parts,)."""
        return _Frames(np.ascontiguousarray(self.spectra[weights > 0]))

    def raised(self, semitones: int) -> _Frames:
        """Return the frames in another key."""
        turn = _WAVES @ np.roll(_WAVES.T, semitones, axis=0)
        return _Frames(turn @ self.spectra)


@dataclass(frozen=True)
class _BestKey:
    """The key and the weights of the parts by which a pair matches best.

    Attributes:
        score: as of an `Alignment`; 0 if nothing matches.
        transposition: semitones to raise the query by, 0 to 11.
        weights: of the parts, (parts,).
    """

    score: float
    transposition: int
    weights: np.ndarray


def _best_key(
    query: _Frames, reference: _Frames, threshold: float, reach: int
) -> _BestKey:
    """Compare two recordings in all keys."""
    if len(query.spectra) != len(reference.spectra):
        raise DataError(
            f"expected chroma of as many parts, found {len(query.spectra)} in the "
            f"query and {len(reference.spectra)} in the reference"
        )
    from bytecover_tf.matching.best_paths import best_scores

    ways = part_weights(len(query.spectra))
    found = _BestKey(0.0, 0, ways[0])
    if not query.count or not reference.count:
        return found
    size = (query.count * reference.count) ** 0.25
    for weights in ways:
        scores = best_scores(
            query.weighted(weights).by_frame,
            reference.among(weights).spectra,
            np.float32(threshold),
            reach,
        ).astype(float)
        best = scores.max()
        chance = (scores.sum() - best) / (len(scores) - 1)
        if (best - chance) / size > found.score:
            found = _BestKey((best - chance) / size, int(scores.argmax()), weights)
    return found


def _align(query: _Frames, reference: _Frames) -> Alignment:
    key = _best_key(query, reference, _SCORE_THRESHOLD, reach=1)
    if not key.score:
        return NOTHING
    from bytecover_tf.matching.best_paths import best_places

    places = best_places(
        query.weighted(key.weights).raised(key.transposition).by_frame,
        reference.among(key.weights).spectra,
        np.float32(_PLACE_THRESHOLD),
    )
    # From -5 to 6.
    transposition = (int(key.transposition) + 5) % PITCH_CLASSES - 5
    return Alignment(float(key.score), transposition, *map(int, places))
