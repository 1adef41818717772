"""The figures of an evaluation on standard output and in files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from bytecover_tf.errors import DataError
from bytecover_tf.evaluation import set_lists
from bytecover_tf.evaluation.protocol import describe, describe_further
from bytecover_tf.files import JsonObject, write_atomically

if TYPE_CHECKING:
    from bytecover_tf.evaluation.measuring import Measured


def report_evaluation(
    measured: Measured, skipped: int, options: argparse.Namespace
) -> None:
    """Print figures, and write and draw them where the options say.

    Args:
        measured: the search and its figures.
        skipped: number of tracks that could not be searched.
        options: of `evaluate`.
    """
    result, aligned = measured.result, measured.aligned
    print(f"{options.data} {options.split}: {describe(result.metrics)}")
    print(describe_further(result.metrics))
    if aligned:
        print(f"{aligned['candidates']} candidates aligned: {describe(aligned)}")
    if options.json:
        figures = {
            **result.metrics,
            "aligned": aligned,
            "data": options.data,
            "split": options.split,
            "skipped": skipped,
            **measured.facts,
        }
        _write_figures(options.json, figures)
    if options.mirex:
        from bytecover_tf.evaluation.mirex import write_evaluation

        write_evaluation(options.mirex, result)
    if options.plots:
        from bytecover_tf.evaluation.plots import plot_evaluation

        for path in plot_evaluation(result, options.plots):
            print(f"drawn: {path}")


def report_set_list(found: Path, played: Path, file: Path | None) -> None:
    """Print how well a system heard a concert.

    Args:
        found: the set list that it wrote.
        played: the true one.
        file: for the figures as JSON, on request.

    Raises:
        DataError: a set list cannot be read, or nothing was played.
    """
    songs = set_lists.read_set_list(played)
    if not songs:
        raise DataError(f"{played}: expected a line for each song, found none")
    figures = set_lists.measure(set_lists.read_set_list(found), songs)
    print(
        f"{figures['songs']} songs played, {figures['found']} found, edit distance "
        f"{figures['edit_distance']}"
    )
    if figures["time_found"] is not None:
        print(f"share of the time that has the right song: {figures['time_found']:.3f}")
    if figures["boundary_deviation"] is not None:
        print(f"mean deviation of boundaries: {figures['boundary_deviation']:.2f} s")
    if file:
        _write_figures(file, figures)


def _write_figures(path: Path, figures: JsonObject) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(figures, indent=1) + "\n")
