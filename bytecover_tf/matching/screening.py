"""Aligns a query with those of many candidates that may be versions of it.

Most candidates are strangers, and an alignment costs the same for them. A coarse look
at all of them, taken together with the similarity of the embeddings, puts the likely
ones first. These are aligned a batch at a time, until a batch has none that could be a
version, however many versions there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bytecover_tf.matching.alignment import (
    NOTHING,
    Alignment,
    align_many,
    look_at_many,
)

BATCH = 16
"""How many candidates are aligned at a time."""

# Of strangers as long as that, one in five hundred reaches this score
# (benchmarks/accuracy/screening.py).
_HOPELESS = 2.0
# In shorter recordings, a minute, a coarse look sees too little.
_LEAST_FRAMES = 130
SECOND_LOOKS = 32
"""How many of the best are aligned with a clip from its second beginning too. With
all of them hardly more versions are found (benchmarks/experiments.md)."""


def align_likely(
    query: np.ndarray,
    references: Sequence[np.ndarray],
    similarity: np.ndarray,
    workers: int | None = None,
    later: np.ndarray | None = None,
) -> list[Alignment]:
    """Align a query with the references that may be versions of it.

    Args:
        query: uint8 chroma (12 * parts, n).
        references: uint8 chroma (12 * parts, m) each.
        similarity: of the embeddings, one for each reference.
        workers: threads; by default one per core.
        later: chroma of the query in frames that begin half a frame later, of a clip.
            The score of those references that match best is the mean of both.

    Returns:
        One for each reference. Where a coarse look found less than in the others, it is
        `NOTHING`. A reference of less than a minute is always aligned, and so are all
        of them with a query as short as that.

    Raises:
        DataError: an array has another shape, or another number of parts.
    """
    lengths = np.array([one.shape[1] for one in references], int)
    is_long = (lengths >= _LEAST_FRAMES) & (query.shape[1] >= _LEAST_FRAMES)
    certain, screened = np.flatnonzero(~is_long), np.flatnonzero(is_long)
    if len(screened) > BATCH:
        looks = look_at_many(query, [references[i] for i in screened.tolist()], workers)
        likeness = _standardized(looks) + _standardized(similarity[screened])
        screened = screened[np.argsort(-likeness, kind="stable")]
    alignments = [NOTHING] * len(references)

    def align_these(numbers: np.ndarray) -> float:
        """Return the best score among them."""
        found = align_many(query, [references[i] for i in numbers], workers)
        for number, alignment in zip(numbers, found, strict=True):
            alignments[number] = alignment
        return max((alignment.score for alignment in found), default=0.0)

    align_these(certain)
    for start in range(0, len(screened), BATCH):
        if align_these(screened[start : start + BATCH]) < _HOPELESS:
            break
    if later is not None:
        order = sorted(range(len(references)), key=lambda i: -alignments[i].score)
        best = order[:SECOND_LOOKS]
        again = align_many(later, [references[i] for i in best], workers)
        for number, other in zip(best, again, strict=True):
            score = (alignments[number].score + other.score) / 2
            alignments[number] = replace(alignments[number], score=score)
    return alignments


def _standardized(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / max(float(values.std()), 1e-9)
