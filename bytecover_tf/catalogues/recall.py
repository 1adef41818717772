"""How many of the truly nearest rows an approximate search finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bytecover_tf.catalogues.rows import Hit

# Cosine between a query and the row it was made from: as between versions, not copies.
_LIKENESS = 0.8


@dataclass(frozen=True)
class Trial:
    """Queries whose nearest rows are known.

    Attributes:
        queries: (queries, dim).
        nearest: (queries, at most top), the highest cosines to all rows, falling.
        top: how many rows each query should find.
    """

    queries: np.ndarray
    nearest: np.ndarray
    top: int

    @classmethod
    def of(
        cls,
        vectors: Callable[[], Iterator[np.ndarray]],
        dim: int,
        queries: int,
        top: int,
    ) -> Trial:
        """Make queries for a catalogue, and compare each with every row.

        The queries are random rows turned away in a random direction.

        Args:
            vectors: as `Catalogue.vectors`.
            dim: size of an embedding.
            queries: how many to make at most.
            top: how many rows each should find.
        """
        asked = _queries(vectors(), dim, queries, np.random.default_rng(0))
        return cls(asked, _nearest(vectors(), asked, top), top)

    def recall(self, search: Callable[[np.ndarray, int], list[list[Hit]]]) -> float:
        """Return the share of the nearest rows that a search finds, from 0 to 1.

        A found row counts if it is as similar as the last of the true ones, so it does
        not matter which of several copies is found. The recall of an empty catalogue is
        1.

        Args:
            search: as `Catalogue.search`.
        """
        if not self.nearest.size:
            return 1.0
        found = 0
        for hits, true in zip(
            search(self.queries, self.top), self.nearest, strict=True
        ):
            # Two ways to compute the same cosine differ by some 1e-6.
            found += sum(hit.similarity >= true[-1] - 1e-5 for hit in hits)
        return min(found / self.nearest.size, 1.0)


def _queries(
    vectors: Iterator[np.ndarray], dim: int, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Return random rows, each turned away: (at most count, dim)."""
    chosen = np.empty((0, dim), np.float32)
    luck = np.empty(0)
    for block in vectors:
        luck = np.concatenate([luck, rng.random(len(block))])
        chosen = np.concatenate([chosen, block])
        luckiest = np.argsort(luck)[:count]
        luck, chosen = luck[luckiest], chosen[luckiest]
    noise = rng.standard_normal(chosen.shape)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    turned = _LIKENESS * chosen + np.sqrt(1 - _LIKENESS**2) * noise
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    return turned.astype(np.float32)


def _nearest(vectors: Iterator[np.ndarray], asked: np.ndarray, top: int) -> np.ndarray:
    """Return the highest cosines to all rows, falling: (queries, at most top)."""
    best = np.empty((len(asked), 0), np.float32)
    for block in vectors:
        best = np.concatenate([best, asked @ block.T], axis=1)
        best = -np.sort(-best, axis=1)[:, :top]
    return best
