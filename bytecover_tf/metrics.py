"""Retrieval metrics of cover song identification.

| key | measure |
|---|---|
| `map` | mean average precision |
| `p_at_10` | precision among the first ten |
| `mr1` | mean rank of the first relevant reference |
| `median_rank` | median of that rank |
| `mrr` | mean of one over that rank |
| `hit_at_1`, `hit_at_10` | share of queries with that rank up to 1, up to 10 |
| `nar` | normalised average rank, 0 at best |
| `open_set_recall` | share of queries found at 1% false alarms |

Conventions, after the MIREX task that the paper follows:

- A reference is relevant to a query if both perform the same work. Pairs that
  `exclude` marks, a recording with itself above all, are as if they were not there.
- Average precision divides by the number of relevant references.
- P@10 is the number of relevant references among the first ten, divided by 10,
  also where fewer than ten exist (so it cannot pass 0.1 on Covers80).
- MR1 is the mean rank of the first relevant reference, counted from 1.
- NAR is, for each relevant reference, the share of the others that stand before it,
  averaged over the references of a query, then over queries. Serra et al.,
  "Supervised contrastive learning from weakly-labeled audio segments for musical
  version matching", ICML 2025, give it in percent.
- Open set: a system that answers with its first reference must also know when to say
  that there is none. Each query is asked as it is, and once more against the references
  without those of its work. The second answer is always wrong, so the similarity that
  1% of these answers reach is the threshold. A query is found if its first reference
  is relevant and more similar than that. Queries without any relevant reference are
  asked the second way only. This is the detection and identification rate of
  Phillips, Grother and Micheals, "Evaluation methods in face recognition", 2005.
- A query without any relevant reference counts in no other metric.
- Ties are broken against the system: of equal similarities, the references that
  are not relevant come first, so that a constant embedding scores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, TypedDict

import numpy as np

# Rows of similarities held at once: 256 x 15 000 float32 is 15 MB.
_BLOCK = 256
# Share of the queries without a version that an open-set threshold lets pass.
FALSE_ALARMS = 0.01
# Up to so many limits, counting what reaches each is faster than sorting.
_FEW = 16


class Metrics(TypedDict):
    """All metrics, and the number of queries that have a relevant reference."""

    map: float
    p_at_10: float
    mr1: float
    median_rank: float
    mrr: float
    hit_at_1: float
    hit_at_10: float
    nar: float
    open_set_recall: float
    queries: int


METRICS = tuple(name for name in Metrics.__annotations__ if name != "queries")
"""The keys of all metrics."""

Block = Callable[[slice], tuple[np.ndarray, np.ndarray]]
"""Given a slice of queries, returns their similarities to all references and the mask
of pairs to exclude, both (rows, R)."""

Excluded = Callable[[slice], np.ndarray]
"""The second of these alone."""


@dataclass(frozen=True)
class QueryScores:
    """What each query contributes to the metrics.

    Attributes:
        query: (n,) positions of the queries that count.
        average_precision: (n,) float64.
        hits_at_10: (n,) relevant references among the first ten.
        first_rank: (n,) rank of the first relevant reference, from 1.
        normalized_rank: (n,) mean share of other references before a relevant one.
        nearest_version: (n,) largest similarity to a relevant reference.
        nearest_other: (Q,) largest similarity to any other reference, of all queries;
            minus infinity where there is none.
    """

    query: np.ndarray
    average_precision: np.ndarray
    hits_at_10: np.ndarray
    first_rank: np.ndarray
    normalized_rank: np.ndarray
    nearest_version: np.ndarray
    nearest_other: np.ndarray

    def summary(self) -> Metrics:
        """Return the metrics, which are not a number if no query counts."""
        return Metrics(
            map=_mean(self.average_precision),
            p_at_10=_mean(self.hits_at_10 / 10),
            mr1=_mean(self.first_rank),
            median_rank=_mean(self.first_rank, np.median),
            mrr=_mean(1 / self.first_rank),
            hit_at_1=_mean(self.first_rank <= 1),
            hit_at_10=_mean(self.first_rank <= 10),
            nar=_mean(self.normalized_rank),
            open_set_recall=_mean(self.found(self.threshold())),
            queries=len(self.query),
        )

    def threshold(self, false_alarms: float = FALSE_ALARMS) -> float:
        """Return the similarity that an answer must exceed in an open set.

        Args:
            false_alarms: largest share of the queries without a version whose first
                reference may be more similar than that.
        """
        return exceeded_by(self.nearest_other, false_alarms)

    def found(self, threshold: float) -> np.ndarray:
        """Return which counted queries are found in an open set, boolean (n,).

        Args:
            threshold: similarity that an answer must exceed.
        """
        nearest = np.maximum(self.nearest_other[self.query], threshold)
        return self.nearest_version > nearest


def exceeded_by(values: np.ndarray, share: float) -> float:
    """Return the least value that at most a share of some values exceeds.

    Args:
        values: (n,).
        share: from 0; minus infinity is returned from 1 on.
    """
    ordered = np.sort(values)[::-1]
    # Rounding must not lose one: 0.29 * 100 is less than 29.
    allowed = int(np.floor(share * len(ordered) + 1e-9))
    return float(ordered[allowed]) if allowed < len(ordered) else float("-inf")


def _mean(
    values: np.ndarray, kind: Callable[[np.ndarray], np.floating] = np.mean
) -> float:
    return float(kind(values)) if len(values) else float("nan")


def evaluate(
    similarity: np.ndarray,
    query_works: Sequence[Hashable],
    reference_works: Sequence[Hashable],
    exclude: np.ndarray | None = None,
) -> Metrics:
    """Return all metrics of a matrix of similarities.

    Args:
        similarity: (Q, R), larger for more similar.
        query_works: Q labels of any hashable kind.
        reference_works: R labels.
        exclude: boolean (Q, R), true for pairs that do not count.

    Returns:
        What `METRICS` names, and under `queries` the number of queries that have a
        relevant reference.

    Raises:
        ValueError: shapes do not agree, or the similarity of a pair that counts is not
            a number.
    """
    similarity = np.asarray(similarity)
    if similarity.dtype.kind in "biu":
        similarity = similarity.astype(float)  # where there is an infinity
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
    excluded = same_recording(query_ids, reference_ids)
    once, places = distinct(references)

    def block(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        return (queries[rows] @ once.T)[:, places], excluded(rows)

    return block


def distinct(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each vector once, and where each of the given ones stands among them.

    The same vector twice must be a tie, but a product of matrices may round it
    differently in different columns. Of distinct vectors, each is multiplied once.

    Args:
        vectors: (N, dim).

    Returns:
        (M, dim) vectors in the order of their first appearance, and N places.
    """
    places, _ = _codes([vector.tobytes() for vector in vectors], [])
    _, first = np.unique(places, return_index=True)
    return vectors[first], places


def same_recording(
    query_ids: Sequence[Hashable], reference_ids: Sequence[Hashable]
) -> Excluded:
    """Return what tells where a query meets its own recording, a block at a time.

    Args:
        query_ids: Q names of recordings.
        reference_ids: R names.
    """
    query_codes, reference_codes = _codes(query_ids, reference_ids)
    return lambda rows: query_codes[rows, None] == reference_codes[None, :]


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
        ValueError: the similarity of a pair that counts is not a number.
    """
    query_codes, reference_codes = _codes(query_works, reference_works)
    rows = []
    nearest_other = np.empty(len(query_codes))
    for query, found in enumerate(_search(block, query_codes, reference_codes)):
        nearest_other[query] = found.others.max(initial=-np.inf)
        if len(found.versions):
            rows.append((query, *_score(found)))
    names = [item.name for item in fields(QueryScores)][:-1]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    counted = {
        name: np.array(column, None if rows else int)
        for name, column in zip(names, columns, strict=True)
    }
    return QueryScores(**counted, nearest_other=nearest_other)


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


class _Found(NamedTuple):
    """What a query is like: its versions in descending order, and all others."""

    versions: np.ndarray
    others: np.ndarray

    def ranks(self) -> np.ndarray:
        """Return the ascending ranks of the versions."""
        # Of equal ones, those that are not relevant stand before.
        before = _at_least(self.others, self.versions)
        return before + np.arange(1, len(self.versions) + 1)


def _search(
    block: Block, query_codes: np.ndarray, reference_codes: np.ndarray
) -> Iterator[_Found]:
    """Yield the similarities of each query, excluded pairs left out."""
    by_work = np.argsort(reference_codes, kind="stable")
    ordered = reference_codes[by_work]
    first = np.searchsorted(ordered, query_codes, side="left")
    last = np.searchsorted(ordered, query_codes, side="right")
    for start in range(0, len(query_codes), _BLOCK):
        similarity, excluded = block(slice(start, start + _BLOCK))
        if (np.isnan(similarity) & ~excluded).any():
            raise ValueError("similarity holds values that are not a number")
        for query, (row, left_out) in enumerate(
            zip(similarity, excluded, strict=True), start
        ):
            relevant = by_work[first[query] : last[query]]
            other = ~left_out
            other[relevant] = False
            versions = row[relevant[~left_out[relevant]]]
            yield _Found(np.sort(versions)[::-1], row[other])


def _at_least(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return for each limit how many values reach it."""
    if len(limits) > _FEW:
        found = np.searchsorted(np.sort(values), limits, side="left")
        return len(values) - found
    return np.array([np.count_nonzero(values >= limit) for limit in limits])


def _score(found: _Found) -> tuple[float, int, int, float, float]:
    """Return what `QueryScores` holds of a query that has versions."""
    ranks = found.ranks()
    order = np.arange(1, len(ranks) + 1)
    return (
        float((order / ranks).mean()),
        int((ranks <= 10).sum()),
        int(ranks[0]),
        float((ranks - order).mean() / max(len(found.others), 1)),
        float(found.versions[0]),
    )
