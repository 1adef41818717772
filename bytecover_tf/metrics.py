"""Retrieval metrics of cover song identification: MAP, P@10 and MR1.

Conventions, after the MIREX task that the paper follows:

- A reference is relevant to a query if both perform the same work. Pairs that
  `exclude` marks, a recording with itself above all, are as if they were not there.
- Average precision divides by the number of relevant references.
- P@10 is the number of relevant references among the first ten, divided by 10,
  also where fewer than ten exist (so it cannot pass 0.1 on Covers80).
- MR1 is the mean rank of the first relevant reference, counted from 1.
- A query without any relevant reference counts in no metric.
- Ties are broken against the system: of equal similarities, the references that
  are not relevant come first, so that a constant embedding scores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Rows of similarities held at once: 256 x 15 000 float32 is 15 MB.
_BLOCK = 256
# Up to so many limits, counting what reaches each is faster than sorting.
_FEW = 16

Block = Callable[[slice], tuple[np.ndarray, np.ndarray]]
"""Given a slice of queries, returns their similarities to all references and the mask
of pairs to exclude, both (rows, R)."""


@dataclass(frozen=True)
class QueryScores:
    """What each counted query contributes to the metrics.

    Attributes:
        query: (n,) positions of the queries that count.
        average_precision: (n,) float64.
        hits_at_10: (n,) relevant references among the first ten.
        first_rank: (n,) rank of the first relevant reference, from 1.
    """

    query: np.ndarray
    average_precision: np.ndarray
    hits_at_10: np.ndarray
    first_rank: np.ndarray

    def summary(self) -> dict[str, Any]:
        """Return `map`, `p_at_10`, `mr1` and the number of `queries`.

        Without any query that counts, the three figures are not a number.
        """
        count = len(self.query)

        def mean(values: np.ndarray) -> float:
            return float(values.mean()) if count else float("nan")

        return {
            "map": mean(self.average_precision),
            "p_at_10": mean(self.hits_at_10 / 10),
            "mr1": mean(self.first_rank),
            "queries": count,
        }


def evaluate(
    similarity: np.ndarray,
    query_works: Sequence[Hashable],
    reference_works: Sequence[Hashable],
    exclude: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return MAP, P@10 and MR1 of a matrix of similarities.

    Args:
        similarity: (Q, R), larger for more similar.
        query_works: Q labels of any hashable kind.
        reference_works: R labels.
        exclude: boolean (Q, R), true for pairs that do not count.

    Returns:
        `{"map", "p_at_10", "mr1", "queries"}`, the last being the number of
        queries that have a relevant reference.

    Raises:
        ValueError: shapes do not agree, or a similarity is not a number.
    """
    similarity = np.asarray(similarity)
    shape = (len(query_works), len(reference_works))
    if similarity.shape != shape:
        raise ValueError(
            f"similarity must have shape (queries, references) = {shape}, "
            f"not {similarity.shape}"
        )
    if exclude is not None and np.shape(exclude) != shape:
        raise ValueError(f"exclude must have shape {shape}, not {np.shape(exclude)}")
    excluded = np.zeros(shape, bool) if exclude is None else np.asarray(exclude, bool)
    return score_queries(
        lambda rows: (similarity[rows], excluded[rows]), query_works, reference_works
    ).summary()


def similarities(
    queries: np.ndarray,
    references: np.ndarray,
    query_ids: Sequence[Hashable],
    reference_ids: Sequence[Hashable],
) -> Block:
    """Return what gives cosine similarities, a block of queries at a time.

    Args:
        queries: (Q, dim), each of unit norm.
        references: (R, dim), each of unit norm.
        query_ids: Q names of recordings.
        reference_ids: R names; a query is not compared with its own recording.
    """
    query_codes, reference_codes = _codes(query_ids, reference_ids)

    def block(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        itself = query_codes[rows, None] == reference_codes[None, :]
        return queries[rows] @ references.T, itself

    return block


def evaluate_embeddings(
    queries: np.ndarray,
    references: np.ndarray,
    query_works: Sequence[Hashable],
    reference_works: Sequence[Hashable],
    query_ids: Sequence[Hashable],
    reference_ids: Sequence[Hashable],
) -> QueryScores:
    """Score a search by cosine similarity, a block of queries at a time.

    Args:
        queries: (Q, dim), each of unit norm.
        references: (R, dim), each of unit norm.
        query_works: Q labels.
        reference_works: R labels.
        query_ids: Q names of recordings.
        reference_ids: R names; a query is not compared with its own recording.

    Returns:
        The scores of each query.
    """
    block = similarities(queries, references, query_ids, reference_ids)
    return score_queries(block, query_works, reference_works)


def score_queries(
    block: Block,
    query_works: Sequence[Hashable],
    reference_works: Sequence[Hashable],
) -> QueryScores:
    """Score each query from blocks of similarities.

    Args:
        block: gives the similarities.
        query_works: Q labels.
        reference_works: R labels.

    Returns:
        The scores of the queries that have a relevant reference.

    Raises:
        ValueError: a similarity is not a number.
    """
    query_codes, reference_codes = _codes(query_works, reference_works)
    rows = [
        (query, *_score(ranks))
        for query, ranks in _relevant_ranks(block, query_codes, reference_codes)
        if len(ranks)
    ]
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    query, precision, hits, first = columns
    return QueryScores(
        np.array(query, int), np.array(precision), np.array(hits), np.array(first)
    )


def bootstrap_interval(
    scores: QueryScores,
    query_works: Sequence[Hashable],
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return a confidence interval of MAP by resampling whole works.

    The queries of one work succeed and fail together, so works, not queries, are
    what is drawn (percentile bootstrap).

    Args:
        scores: what `evaluate_embeddings` returns.
        query_works: labels of all queries.
        seed: seed of the resampling.
        resamples: number of draws.
        level: share of the draws inside the interval.

    Returns:
        Lower and upper bound; not a number without any query.
    """
    if not len(scores.query):
        return float("nan"), float("nan")
    codes, _ = _codes(query_works, [])
    _, group = np.unique(codes[scores.query], return_inverse=True)
    totals = np.bincount(group, scores.average_precision)
    counts = np.bincount(group)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(totals), size=(resamples, len(totals)))
    maps = totals[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(maps, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _codes(
    left: Sequence[Hashable], right: Sequence[Hashable]
) -> tuple[np.ndarray, np.ndarray]:
    """Number the labels of both lists alike."""
    numbers: dict[Hashable, int] = {}
    coded = [
        [numbers.setdefault(x, len(numbers)) for x in side] for side in (left, right)
    ]
    return np.array(coded[0], int), np.array(coded[1], int)


def _relevant_ranks(
    block: Block,
    query_codes: np.ndarray,
    reference_codes: np.ndarray,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each query with the ascending ranks of its relevant references."""
    by_work = np.argsort(reference_codes, kind="stable")
    ordered = reference_codes[by_work]
    first = np.searchsorted(ordered, query_codes, side="left")
    last = np.searchsorted(ordered, query_codes, side="right")
    for start in range(0, len(query_codes), _BLOCK):
        similarity, excluded = block(slice(start, start + _BLOCK))
        if np.isnan(similarity).any():
            raise ValueError("similarity holds values that are not a number")
        for query, (row, left_out) in enumerate(
            zip(similarity, excluded, strict=True), start
        ):
            relevant = by_work[first[query] : last[query]]
            yield query, _ranks(row, relevant, left_out)


def _ranks(
    similarity: np.ndarray, relevant: np.ndarray, excluded: np.ndarray
) -> np.ndarray:
    """Return the ascending ranks of the relevant references of one query.

    Args:
        similarity: (R,).
        relevant: positions of the references of the query's work.
        excluded: boolean (R,).
    """
    dropped = excluded[relevant]
    wanted = np.sort(similarity[relevant[~dropped]])[::-1]
    if not len(wanted):
        return wanted
    # Of equal ones, those that are not relevant stand before.
    before = _at_least(similarity, wanted)
    before -= _at_least(similarity[relevant], wanted)
    if np.count_nonzero(excluded) > np.count_nonzero(dropped):
        apart = np.setdiff1d(np.flatnonzero(excluded), relevant)
        before -= _at_least(similarity[apart], wanted)
    return before + np.arange(1, len(wanted) + 1)


def _at_least(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return for each limit how many values reach it."""
    if len(limits) > _FEW:
        found = np.searchsorted(np.sort(values), limits, side="left")
        return len(values) - found
    return np.array([np.count_nonzero(values >= limit) for limit in limits])


def _score(ranks: np.ndarray) -> tuple[float, int, int]:
    """Return average precision, hits in the first ten, and the first rank."""
    precision = np.arange(1, len(ranks) + 1) / ranks
    return float(precision.mean()), int((ranks <= 10).sum()), int(ranks[0])
