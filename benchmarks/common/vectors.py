"""Made-up embeddings that lie as those of covers do: in small clusters, a work each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

BLOCK_ROWS = 10_000

# Mean number of versions of a work; most works have fewer, few have many.
VERSIONS = 4
# Cosine of a version to the centre of its work, from and to.
LIKENESS = (0.7, 0.95)
# The standard deviation of component i falls like i to this power, as principal
# components of embeddings do, so that fewer dimensions matter than there are.
DECAY = -0.4


def write_vectors(
    path: Path, rows: int, dim: int, queries: int, seed: int
) -> np.ndarray:
    """Write versions of works, and return further versions of some of these works.

    The centre of a work is Gaussian, with components that fall off. A version is the
    centre turned by a random angle towards another such vector.

    Args:
        path: a file for float32 (rows, dim), without any header, of unit norm.
        rows: number of versions.
        dim: size of a vector.
        queries: number of versions to return.
        seed: of the random numbers.

    Returns:
        float32 (queries, dim), of unit norm.
    """
    rng = np.random.default_rng(seed)
    # Which block of rows has the work that a query is of.
    block_of_query = np.sort(rng.integers(rows, size=queries)) // BLOCK_ROWS
    asked = []
    with open(path, "wb") as file:
        for number, start in enumerate(range(0, rows, BLOCK_ROWS)):
            count = min(BLOCK_ROWS, rows - start)
            work, centres, vectors = made_up_works(count, dim, rng)
            vectors.tofile(file)
            chosen = rng.choice(work, np.count_nonzero(block_of_query == number))
            asked.append(_turned(centres[chosen], rng))
    return np.concatenate(asked)


def made_up_works(
    count: int, dim: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return versions of works.

    Args:
        count: number of versions.
        dim: size of a vector.
        rng: source of all random choices.

    Returns:
        The number of the work of each version, from 0 or 1 on and never falling; the
        centres of the works, by these numbers; and float32 (count, dim), the versions,
        of unit norm.
    """
    # One of so many versions is the first of its work.
    work = np.cumsum(rng.random(count) < 1 / VERSIONS)
    centres = _unit(_random(work[-1] + 1, dim, rng))
    return work, centres, _turned(centres[work], rng)


def read_vectors(path: Path, dim: int) -> Iterator[np.ndarray]:
    """Yield the vectors in a file in blocks of (at most `BLOCK_ROWS`, dim)."""
    with open(path, "rb") as file:
        while (flat := np.fromfile(file, np.float32, BLOCK_ROWS * dim)).size:
            yield flat.reshape(-1, dim)


def _random(count: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    scale = np.arange(1, dim + 1, dtype=np.float32) ** np.float32(DECAY)
    return rng.standard_normal((count, dim), np.float32) * scale


def _turned(centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return vectors of a random cosine to each centre."""
    away = _random(len(centres), centres.shape[1], rng)
    away -= (away * centres).sum(axis=1, keepdims=True) * centres
    cosine = rng.uniform(*LIKENESS, (len(centres), 1)).astype(np.float32)
    return _unit(cosine * centres + np.sqrt(1 - cosine**2) * _unit(away))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
