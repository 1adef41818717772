"""Pictures of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bytecover_tf.evaluation.protocol import Evaluation

_BLOCK = 256


def plot_evaluation(result: Evaluation, folder: Path) -> list[Path]:
    """Draw the ranks of first hits and the densities of similarities.

    Args:
        result: a search.
        folder: where `ranks.png` and `similarities.png` are written.

    Returns:
        The paths of the pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"ranks.png": _ranks(result), "similarities.png": _similarities(result)}
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=120)
    return [folder / name for name in figures]


def _figure(title: str, x: str, y: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure


def _ranks(result: Evaluation) -> Figure:
    figure = _figure(
        f"First version found, {len(result.scores.query)} queries",
        "rank (logarithmic)",
        "queries",
    )
    axes = figure.axes[0]
    edges = np.unique(np.geomspace(1, len(result.references) + 1, 40).astype(int))
    axes.hist(result.scores.first_rank, bins=edges.tolist())
    axes.set_xscale("log")
    mean = result.metrics["mr1"]
    axes.axvline(mean, color="black", linestyle="--", label=f"MR1 = {mean:.2f}")
    axes.legend()
    return figure


def _similarities(result: Evaluation) -> Figure:
    figure = _figure("Similarity of pairs", "similarity", "density")
    axes = figure.axes[0]
    edges = np.linspace(*_range(result), 101)
    versions, others = _histograms(result, edges)
    width = edges[1] - edges[0]
    for counts, label in ((others, "other works"), (versions, "versions")):
        density = counts / max(counts.sum(), 1) / width
        axes.stairs(density, edges, fill=True, alpha=0.5, label=label)
    axes.legend()
    return figure


def _range(result: Evaluation) -> tuple[float, float]:
    """Return the lowest and the highest similarity; cosines fill -1 to 1."""
    low, high = -1.0, 1.0
    for similarity, excluded in _blocks(result):
        counted = similarity[~excluded & np.isfinite(similarity)]
        low = min(low, float(counted.min(initial=low)))
        high = max(high, float(counted.max(initial=high)))
    return low, high


def _blocks(result: Evaluation) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(result.queries), _BLOCK):
        yield result.block(slice(start, start + _BLOCK))


def _histograms(result: Evaluation, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count similarities of versions and of other pairs, excluded ones left out."""
    names = {track.work: number for number, track in enumerate(result.references)}
    query_works = np.array([names.get(track.work, -1) for track in result.queries])
    works = np.array([names[track.work] for track in result.references])
    versions = np.zeros(len(edges) - 1)
    others = np.zeros(len(edges) - 1)
    asked = 0
    for similarity, excluded in _blocks(result):
        asking = query_works[asked : asked + len(similarity)]
        asked += len(similarity)
        # Rounding may carry a cosine past the last edge.
        similarity = similarity.clip(edges[0], edges[-1])
        same = asking[:, None] == works
        versions += np.histogram(similarity[same & ~excluded], edges)[0]
        others += np.histogram(similarity[~same & ~excluded], edges)[0]
    return versions, others
