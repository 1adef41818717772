"""What do the retrieval metrics cost, beside a plain numpy argsort?

    python -m benchmarks.speed.evaluation [--rows 15000,10547] [--dim 2048]

Searches each of N made-up embeddings among the others, N being the size of Da-TACOS
(15 000) and of the test split of SHS100K (10 547), and computes MAP, P@10 and MR1.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.processes import measured
from benchmarks.common.report import command_of, table, write_section
from bytecover_tf import metrics

# Versions of a work; of Da-TACOS's 15 000 recordings 2 000 are the only ones.
VERSIONS, SINGLE = 13, 2 / 15
# How much of an embedding is its work's.
LIKENESS = 0.3
_MIB = 2**20

Figures = dict[str, float]


def write_embeddings(path: Path, rows: int, dim: int, seed: int = 0) -> None:
    """Write float32 (rows, dim) of unit norm, versions of a work near each other."""
    rng = np.random.default_rng(seed)
    labels = works(rows)
    centres = rng.standard_normal((labels.max() + 1, dim), np.float32)
    array = rng.standard_normal((rows, dim), np.float32)
    array += np.float32(LIKENESS) * centres[labels]
    np.save(path, array / np.linalg.norm(array, axis=1, keepdims=True))


def works(rows: int) -> np.ndarray:
    """Return the work of each of some recordings, in random order."""
    shared = rows - int(SINGLE * rows)
    labels = np.arange(rows)
    labels[:shared] //= VERSIONS
    return np.random.default_rng(0).permutation(labels)


# -- ways to score: each returns what it found -------------------------------------


def ours(embeddings: np.ndarray, labels: np.ndarray) -> Figures:
    ids = range(len(labels))
    scores = metrics.evaluate_embeddings(
        embeddings, embeddings, labels.tolist(), labels.tolist(), ids, ids
    )
    return scores.summary()


def argsort(embeddings: np.ndarray, labels: np.ndarray) -> Figures:
    """Score as one writes it first: the whole matrix, sorted."""
    similarity = embeddings @ embeddings.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1)
    precisions, tens, firsts = [], [], []
    for query, found in enumerate(order):
        ranks = 1 + np.flatnonzero(labels[found[:-1]] == labels[query])
        if len(ranks):
            precisions.append((np.arange(1, len(ranks) + 1) / ranks).mean())
            tens.append((ranks <= 10).sum() / 10)
            firsts.append(ranks[0])
    return {
        "map": float(np.mean(precisions)),
        "p_at_10": float(np.mean(tens)),
        "mr1": float(np.mean(firsts)),
        "queries": len(precisions),
    }


def products(embeddings: np.ndarray, labels: np.ndarray) -> Figures:
    """Compute the similarities alone, which both others need."""
    for start in range(0, len(labels), 256):
        embeddings[start : start + 256] @ embeddings.T
    return {}


WAYS: dict[str, Callable[[np.ndarray, np.ndarray], Figures]] = {
    "numpy argsort": argsort,
    "bytecover_tf.metrics": ours,
    "similarities alone": products,
}


def timed(name: str, path: Path) -> tuple[float, Figures]:
    """Return the seconds of one way and its figures."""
    embeddings = np.load(path)
    labels = works(len(embeddings))
    start = time.perf_counter()
    figures = WAYS[name](embeddings, labels)
    return time.perf_counter() - start, figures


def compared(rows: int, dim: int, repeats: int) -> tuple[list[list[str]], str]:
    """Return the table's rows for one size, and what they say."""
    results: dict[str, list[Any]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embeddings.npy"
        write_embeddings(path, rows, dim)
        for _ in range(repeats):
            for name in WAYS:
                results[name].append(measured(timed, name, path))
    seconds = {
        name: float(np.median([run.result[0] for run in runs]))
        for name, runs in results.items()
    }
    plain, mine, shared = (seconds[name] for name in WAYS)
    found = [results[name][0].result[1] for name in list(WAYS)[:2]]
    difference = max(abs(found[0][name] - found[1][name]) for name in found[0])
    cells = [
        [
            f"{rows:,}",
            name,
            f"{seconds[name]:.2f}",
            f"{plain / seconds[name]:.1f}",
            f"{max(run.peak for run in results[name]) / _MIB:,.0f}",
        ]
        for name in WAYS
    ]
    told = (
        f"{rows:,}: all figures "
        + ("equal to the last digit" if not difference else f"within {difference:.0e}")
        + f" (MAP {found[0]['map']:.6f}); ranking beyond the similarities takes "
        f"{plain - shared:.1f} s with argsort and {max(mine - shared, 0):.1f} s here."
    )
    return cells, told


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="15000,10547", help="numbers of recordings")
    parser.add_argument("--dim", type=int, default=2048, help="size of an embedding")
    parser.add_argument(
        "--repeats", type=int, default=3, help="measurements of each method"
    )
    options = parser.parse_args(arguments)
    cells, told = [], []
    for rows in map(int, options.rows.split(",")):
        of_size, line = compared(rows, options.dim, options.repeats)
        cells.extend(of_size)
        told.append(line)
        print(line, flush=True)
    header = ["recordings", "", "seconds", "speed, argsort = 1", "peak MiB"]
    body = (
        f"Each of N embeddings of {options.dim} values is searched among the others. "
        "Every way has a process of its own; they take turns, and figures are "
        f"medians of {options.repeats}. Works have {VERSIONS} versions, {SINGLE:.0%} "
        "of the recordings have none. Both ways need the similarities, a single matrix "
        "product. The aim is 5 times argsort's speed within 1,024 MiB; the time of "
        "that product sets its limit.\n\n"
        + table(header, cells)
        + "\n\n"
        + "\n\n".join(told)
    )
    command = command_of("speed.evaluation", parser, options)
    write_section("search", "Evaluation", command, body)


if __name__ == "__main__":
    main()
