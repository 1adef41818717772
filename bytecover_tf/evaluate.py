r"""Measure an encoder, or another system, by a data set's protocol.

Covers80 and SHS100K-TEST search all recordings among all, Da-TACOS 13 000 queries among
15 000 recordings, and YouTube350 250 queries among 100. Works or recordings that the
encoder was trained on are refused. Missing features are extracted first. What another
system was trained on is not known here.

Examples:
  python -m bytecover_tf.evaluate --encoder bytecover-small --align 100
  python -m bytecover_tf.evaluate --encoder runs/tunes
  python -m bytecover_tf.evaluate --encoder encoder.keras --data covers80 \
      --data-root covers80 --json covers80.json --plots plots
  python -m bytecover_tf.evaluate --embeddings clews.npz --data covers80 \
      --data-root covers80
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bytecover_tf import cli
from bytecover_tf.files import write_atomically

if TYPE_CHECKING:
    from bytecover_tf.data.track import Track
    from bytecover_tf.evaluation.protocol import Evaluation


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate an encoder or another system; return the exit status."""
    parser = cli.parser("evaluate", __doc__)
    systems = parser.add_mutually_exclusive_group(required=True)
    cli.add_encoder_argument(systems, "")
    systems.add_argument(
        "--embeddings",
        type=Path,
        metavar="FILE",
        help="measure the embeddings of another system, an .npz file with ids and "
        "vectors",
    )
    systems.add_argument(
        "--similarities",
        type=Path,
        metavar="FILE",
        help="measure the similarities or distances of another system, an .npz file "
        "or MIREX's file of distances",
    )
    cli.add_data_arguments(parser, default="tunes")
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test", "all"),
        default="test",
        help="which tracks to search",
    )
    parser.add_argument(
        "--allow-leakage",
        action="store_true",
        help="measure even if the encoder was trained on some works or recordings",
    )
    parser.add_argument(
        "--align",
        type=cli.positive_int,
        metavar="N",
        help="also align each query with its N nearest references, as identify does "
        "with 100, and measure that ranking",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="file for the figures"
    )
    parser.add_argument(
        "--mirex",
        type=Path,
        metavar="FILE",
        help="file for the distances of all pairs, as MIREX's cover song "
        "identification reads them",
    )
    parser.add_argument(
        "--plots",
        type=Path,
        metavar="DIR",
        help="folder for pictures (PNG): the ranks of first hits, and the similarities "
        "of versions and of other pairs",
    )
    options = parser.parse_args(arguments)
    if options.align and not options.encoder:
        parser.error("--align needs the features of an --encoder")
    if options.plots:
        cli.require_extra("plots", "matplotlib")

    from bytecover_tf.evaluation.protocol import (
        choose_split,
        describe,
        describe_further,
    )

    tracks = choose_split(cli.read_tracks(options), options.split)
    measure = _measure_encoder if options.encoder else _measure_file
    measured = measure(options, tracks)
    result = measured.result
    print(f"{options.data} {options.split}: {describe(result.metrics)}")
    print(describe_further(result.metrics))
    if measured.aligned:
        count = measured.aligned["candidates"]
        print(f"{count} candidates aligned: {describe(measured.aligned)}")
    if options.json:
        figures = {
            **result.metrics,
            "aligned": measured.aligned,
            "data": options.data,
            "split": options.split,
            "skipped": measured.skipped,
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
    return cli.SOME_FAILED if measured.skipped else cli.OK


class _Measured(NamedTuple):
    """A search, its figures with alignment, and what else to record."""

    result: Evaluation
    aligned: dict[str, Any] | None
    skipped: int
    facts: dict[str, Any]


def _measure_encoder(options: argparse.Namespace, tracks: list[Track]) -> _Measured:
    from bytecover_tf.encoders.encoder import load_encoder
    from bytecover_tf.evaluation.protocol import check_unseen, evaluate_tracks

    encoder = load_encoder(options.encoder)
    if options.align is not None:
        from bytecover_tf.evaluation.reranking import check_frontend

        check_frontend(encoder.frontend)
    usable, store = cli.open_features(options, tracks, encoder.frontend, options.split)
    if not options.allow_leakage:
        check_unseen(encoder, options.data, usable, store)
    result = evaluate_tracks(encoder, usable, store)
    aligned = None
    if options.align:
        from bytecover_tf.evaluation.reranking import rerank

        figures = rerank(encoder, options.encoder, result, store, options.align)
        aligned = {"candidates": options.align, **figures}
    facts = {
        "encoder": str(options.encoder),
        "frontend": encoder.frontend.to_dict(),
        "leakage_checked": not options.allow_leakage,
    }
    return _Measured(result, aligned, len(tracks) - len(usable), facts)


def _measure_file(options: argparse.Namespace, tracks: list[Track]) -> _Measured:
    from bytecover_tf.evaluation.foreign import search_embeddings, search_similarities

    search = search_embeddings if options.embeddings else search_similarities
    path = options.embeddings or options.similarities
    result, failed = search(tracks, path)
    for name, reason in failed.items():
        cli.warn(f"skipped: {name}: {reason}")
    facts = {"file": str(path), "leakage_checked": False}
    return _Measured(result, None, len(failed), facts)


if __name__ == "__main__":
    cli.run(main)
