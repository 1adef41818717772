"""Pictures of an evaluation."""

from __future__ import annotations

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
    figure = _figure("Similarity of pairs", "cosine of f_c", "density")
    axes = figure.axes[0]
    edges = np.linspace(-1, 1, 101)
    versions, others = _histograms(result, edges)
    width = edges[1] - edges[0]
    for counts, label in ((others, "other works"), (versions, "versions")):
        density = counts / max(counts.sum(), 1) / width
        axes.stairs(density, edges, fill=True, alpha=0.5, label=label)
    axes.legend()
    return figure


def _histograms(result: Evaluation, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count similarities of versions and of other pairs, each with itself left out."""
    names = {track.work: number for number, track in enumerate(result.references)}
    ids = {track.id: number for number, track in enumerate(result.references)}
    query_works = np.array([names.get(track.work, -1) for track in result.queries])
    works = np.array([names[track.work] for track in result.references])
    itself = np.array([ids.get(track.id, -1) for track in result.queries])
    versions = np.zeros(len(edges) - 1)
    others = np.zeros(len(edges) - 1)
    for start in range(0, len(query_works), _BLOCK):
        rows = slice(start, start + _BLOCK)
        similarity = result.query_embeddings[rows] @ result.reference_embeddings.T
        similarity = similarity.clip(-1, 1)
        counted = itself[rows, None] != np.arange(len(works))
        same = query_works[rows, None] == works
        versions += np.histogram(similarity[same & counted], edges)[0]
        others += np.histogram(similarity[~same & counted], edges)[0]
    return versions, others
