"""The figures of an evaluation on standard output and in files."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from bytecover_tf.evaluation.protocol import describe, describe_further
from bytecover_tf.files import write_atomically

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
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.json, json.dumps(figures, indent=1) + "\n")
    if options.mirex:
        from bytecover_tf.evaluation.mirex import write_evaluation

        write_evaluation(options.mirex, result)
    if options.plots:
        from bytecover_tf.evaluation.plots import plot_evaluation

        for path in plot_evaluation(result, options.plots):
            print(f"drawn: {path}")
