"""Pictures: where two recordings match, and how far probabilities are right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, gcd
from pathlib import Path

import numpy as np

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import Hearing
from bytecover_tf.audio.streaming import mean_blocks
from bytecover_tf.files import replacing
from bytecover_tf.matching.alignment import Alignment, frame_similarities
from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.compiling import compiled
from bytecover_tf.matching.identification import Query
from bytecover_tf.stores.extraction import Reader
from bytecover_tf.terminal import clock, printable

_COLOUR = "#d62728"
# Frames of chroma on a side of a matrix, and of a path that is followed frame by frame:
# recordings of hours would take memory by the square.
_MOST_FRAMES = 2400
_MOST_STEPS = 4000
# Frames of the transform in one column of a picture, if that divides the pooling.
_POOL = 5


@dataclass(frozen=True)
class Pictured:
    """One of the two recordings.

    Attributes:
        name: shown beside it.
        features: (n_bins, T), more finely pooled than those of an encoder.
        frontend: parameters of `features`.
        chroma: uint8 (12 * parts, n).
    """

    name: str
    features: np.ndarray
    frontend: Frontend
    chroma: np.ndarray

    @property
    def seconds(self) -> float:
        """Length of what is shown."""
        return self.features.shape[1] * self.frontend.seconds_per_frame


def picture_frontend(frontend: Frontend) -> Frontend:
    """Return the parameters of the features that a picture shows.

    Args:
        frontend: of the encoder that compares.
    """
    return replace(frontend, pool=gcd(_POOL, frontend.pool), normalization="none")


def read_with_picture(
    path: str,
    frontend: Frontend,
    hearing: Hearing | None = None,
    allow_truncated: bool = False,
) -> tuple[Query, Pictured]:
    """Read a recording once, to compare it and to draw it.

    Args:
        path: as in `Query.read`, and so are the others.
        frontend: of the encoder.
        hearing: the network that hears the notes.
        allow_truncated: whether to take what is there of a truncated file.

    Raises:
        AudioError: it cannot be used.
    """
    fine = picture_frontend(frontend)
    read = Reader(
        fine, with_chroma=True, hearing=hearing, allow_truncated=allow_truncated
    ).read(path)
    assert read.features is not None
    assert read.chroma is not None
    features = frontend.from_cqt(read.features, fine.pool, path)
    pictured = Pictured(Path(path).name, read.features, fine, read.chroma)
    return Query.of_extracted(path, read, features), pictured


def plot_comparison(
    first: Pictured, second: Pictured, alignment: Alignment, title: str, path: Path
) -> None:
    """Draw two transforms, the similarity of their chroma, and the path of the match.

    Args:
        first: drawn along the top, its time to the right.
        second: drawn along the left, its time downwards.
        alignment: of the first with the second.
        title: above the picture.
        path: a file to write; its ending names the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 10), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 5), height_ratios=(1, 5))
    matrix = figure.add_subplot(grid[1, 1])
    top = figure.add_subplot(grid[0, 1], sharex=matrix)
    left = figure.add_subplot(grid[1, 0], sharey=matrix)
    figure.suptitle(title, parse_math=False)

    step = seconds_per_frame(first.frontend)
    similarity = similarities(first.chroma, second.chroma, alignment.transposition)
    columns, rows = (each.chroma.shape[1] * step for each in (first, second))
    matrix.imshow(
        similarity.T,
        cmap="gray_r",
        aspect="auto",
        vmin=0,
        vmax=1,
        extent=(0, columns, rows, 0),
        interpolation="nearest",
    )
    top.imshow(
        _levels(first.features),
        cmap="magma",
        aspect="auto",
        origin="lower",
        extent=(0, first.seconds, *_octaves(first.frontend)),
    )
    left.imshow(
        _levels(second.features).T,
        cmap="magma",
        aspect="auto",
        extent=(*_octaves(second.frontend), second.seconds, 0),
    )
    if alignment.query_end > alignment.query_start:
        # Through the middles of the frames.
        frames = matched_frames(first.chroma, second.chroma, alignment)
        times = (frames + 0.5) * step
        matrix.plot(times[:, 0], times[:, 1], color=_COLOUR, linewidth=1.5)
        here = alignment.query_start * step, alignment.query_end * step
        there = alignment.reference_start * step, alignment.reference_end * step
        for edge in here:
            matrix.axvline(edge, color=_COLOUR, linewidth=0.8, linestyle=":")
            top.axvline(edge, color="white", linewidth=1.2, linestyle=":")
        for edge in there:
            matrix.axhline(edge, color=_COLOUR, linewidth=0.8, linestyle=":")
            left.axhline(edge, color="white", linewidth=1.2, linestyle=":")
    for axis in (matrix.xaxis, matrix.yaxis):
        axis.set_major_formatter(lambda value, _: clock(value))
    matrix.set_xlabel(f"A: {printable(first.name)}", parse_math=False)
    matrix.yaxis.set_label_position("right")
    matrix.set_ylabel(f"B: {printable(second.name)}", parse_math=False)
    left.set_xticks(top.get_yticks(), minor=False)
    left.set_xlim(*_octaves(second.frontend))
    top.tick_params(labelbottom=False)
    matrix.tick_params(labelleft=False)
    top.set_ylabel("octave")
    left.set_xlabel("octave")
    with replacing(path) as beside:
        figure.savefig(beside, dpi=120)


def plot_reliability(calibration: Calibration, path: Path) -> None:
    """Draw how often the best match was right, by the probability that it had.

    Args:
        calibration: as `fit` returned it.
        path: a file to write; its ending names the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    probability, right, weight = np.array(calibration.origin["reliability"]).T
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
    axes.plot(probability, right, color=_COLOUR, zorder=1)
    axes.scatter(probability, right, 20 + 400 * weight / weight.sum(), color=_COLOUR)
    for threshold, name in (
        (calibration.version, "version"),
        (calibration.unsure, "unsure"),
    ):
        axes.axvline(threshold, color="grey", linewidth=0.8, linestyle=":")
        axes.text(threshold, 0, f" {name}", rotation=90, va="bottom", ha="right")
    axes.set(
        xlabel="probability of the best match",
        ylabel="share that is a version (area: number of queries)",
        title=f"calibration error {calibration.origin['calibration_error']:.3f}",
    )
    with replacing(path) as beside:
        figure.savefig(beside, dpi=120)


def similarities(
    first: np.ndarray, second: np.ndarray, transposition: int
) -> np.ndarray:
    """Return how alike two recordings are, frame by frame or in less detail.

    Args:
        first: uint8 chroma (12 * parts, n).
        second: uint8 chroma (12 * parts, m).
        transposition: semitones to raise the first by.

    Returns:
        float32 (at most `_MOST_FRAMES`, at most `_MOST_FRAMES`), -1 to 1; a row stands
        for as many frames of the first as any other, and a column of the second.
    """
    return frame_similarities(_shrunk(first), _shrunk(second), transposition)


def _shrunk(chroma: np.ndarray) -> np.ndarray:
    """Average neighbouring frames of chroma, so that there are not too many."""
    step = ceil(chroma.shape[1] / _MOST_FRAMES)
    return mean_blocks(chroma, step).astype(np.uint8)


def matched_frames(
    first: np.ndarray, second: np.ndarray, alignment: Alignment
) -> np.ndarray:
    """Return the frames by which the matched stretches of two recordings follow.

    Between start and end of the alignment the path is that of dynamic time warping
    with the steps that the alignment allows.

    Args:
        first: uint8 chroma (12 * parts, n).
        second: uint8 chroma (12 * parts, m).
        alignment: of the two, with a stretch that matches.

    Returns:
        Frame of the first and of the second, rising: (steps, 2). Of stretches of half
        an hour only the first and the last.
    """
    here = alignment.query_start, alignment.query_end
    there = alignment.reference_start, alignment.reference_end
    if max(here[1] - here[0], there[1] - there[0]) > _MOST_STEPS:
        return np.array([(here[0], there[0]), (here[1] - 1, there[1] - 1)])
    similarity = frame_similarities(
        first[:, slice(*here)], second[:, slice(*there)], alignment.transposition
    )
    return _warping_path(1 - similarity) + np.array([here[0], there[0]])


@compiled
def _warping_path(cost):
    """Return the cheapest way through a matrix, (steps, 2), from corner to corner.

    Each step goes on by one row and one column, or by two of the one. A matrix more
    than twice as long as wide has no such way; what is returned then begins where the
    steps from the end end.

    Args:
        cost: (n, m), of each cell on the way.
    """
    rows, columns = cost.shape
    total = np.full((rows, columns), np.inf)
    total[0, 0] = cost[0, 0]
    step = np.zeros((rows, columns), np.int64)
    for i in range(1, rows):
        for j in range(1, columns):
            for number, (down, right) in enumerate(((1, 1), (1, 2), (2, 1))):
                if i >= down and j >= right:
                    reached = total[i - down, j - right] + cost[i, j]
                    if reached < total[i, j]:
                        total[i, j] = reached
                        step[i, j] = number
    path = [(rows - 1, columns - 1)]
    while path[-1][0] > 0 and path[-1][1] > 0:
        i, j = path[-1]
        down, right = ((1, 1), (1, 2), (2, 1))[step[i, j]]
        path.append((i - down, j - right))
    return np.array(path[::-1])


def _levels(features: np.ndarray) -> np.ndarray:
    """Return decibels below the maximum, at least -60."""
    return np.maximum(20 * np.log10(np.maximum(features / features.max(), 1e-9)), -60)


def _octaves(frontend: Frontend) -> tuple[float, float]:
    """Return the range of a transform as octaves above its lowest bin."""
    return 0, frontend.n_bins / frontend.bins_per_octave
