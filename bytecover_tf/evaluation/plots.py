"""Pictures of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bytecover_tf.evaluation.protocol import Evaluation

_BLOCK = 256
# Shown of an evaluation, so that their recordings are large enough to see.
_WORKS = 12


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


def plot_training(
    course: Sequence[float], unseen: tuple[float, float], result: Evaluation, path: Path
) -> None:
    """Draw the course of a training, and how alike some unseen recordings have become.

    Where no recording is both asked and searched, there is the course alone.

    Args:
        course: MAP on the validation works after each epoch.
        unseen: MAP on unseen works before and after the training.
        result: the search of the unseen works after the training.
        path: where the picture is written.
    """
    from matplotlib.figure import Figure

    names, similarity = _first_works(result)
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, 2 if names else 1, squeeze=False)[0]
    left = panels[0]
    epochs = range(1, len(course) + 1)
    left.plot(epochs, course, marker="o", label="validation works")
    ends = (0, len(course))
    left.plot(ends, unseen, "k--o", label="unseen works, before and after")
    left.set(title="Versions found", xlabel="epoch", ylabel="MAP", ylim=(0, 1))
    left.legend()
    if names:
        right = panels[1]
        image = right.imshow(similarity, vmin=0, vmax=1)
        figure.colorbar(image, ax=right, label="similarity")
        for edge in np.flatnonzero(np.array(names[1:]) != np.array(names[:-1])) + 0.5:
            right.axhline(edge, color="white", linewidth=0.5)
            right.axvline(edge, color="white", linewidth=0.5)
        works = len(set(names))
        right.set(title=f"Recordings of {works} unseen works", xticks=[], yticks=[])
        right.set_xlabel("a square on the diagonal holds the versions of one work")
    figure.savefig(path, dpi=120)


def _first_works(result: Evaluation) -> tuple[list[str], np.ndarray]:
    """Return the work of some references in order, and their similarities (n, n)."""
    asked = {track.id: row for row, track in enumerate(result.queries)}
    pairs = sorted(
        (track.work, asked[track.id], column)
        for column, track in enumerate(result.references)
        if track.id in asked
    )
    chosen = list(dict.fromkeys(work for work, _, _ in pairs))[:_WORKS]
    kept = [pair for pair in pairs if pair[0] in chosen]
    columns = [column for _, _, column in kept]
    rows = [result.block(slice(row, row + 1))[0][0, columns] for _, row, _ in kept]
    return [work for work, _, _ in kept], np.array(rows)


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
