"""The command line of evaluation; the work is in `bytecover_tf.evaluation.protocol`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bytecover_tf import cli
from bytecover_tf.files import write_atomically


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate an encoder; return the exit status."""
    parser = cli.parser("evaluate", DESCRIPTION)
    cli.add_encoder_argument(parser, "", required=True)
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
        "--plots",
        type=Path,
        metavar="DIR",
        help="folder for pictures (PNG): the ranks of first hits, and the similarities "
        "of versions and of other pairs",
    )
    options = parser.parse_args(arguments)

    from bytecover_tf.encoders.encoder import load_encoder
    from bytecover_tf.evaluation.protocol import (
        check_unseen,
        choose_split,
        describe,
        evaluate_tracks,
    )

    encoder = load_encoder(options.encoder)
    if options.align is not None:
        from bytecover_tf.evaluation.reranking import check_frontend

        check_frontend(encoder.frontend)
    tracks = choose_split(cli.read_tracks(options), options.split)
    usable, store = cli.open_features(options, tracks, encoder.frontend, options.split)
    if not options.allow_leakage:
        check_unseen(encoder, options.data, usable, store)
    result = evaluate_tracks(encoder, usable, store)
    print(f"{options.data} {options.split}: {describe(result.metrics)}")
    aligned = None
    if options.align:
        from bytecover_tf.evaluation.reranking import rerank

        figures = rerank(encoder, options.encoder, result, store, options.align)
        print(f"{options.align} candidates aligned: {describe(figures)}")
        aligned = {"candidates": options.align, **figures}
    if options.json:
        figures = {
            **result.metrics,
            "aligned": aligned,
            "data": options.data,
            "split": options.split,
            "skipped": len(tracks) - len(usable),
            "encoder": str(options.encoder),
            "frontend": encoder.frontend.to_dict(),
            "leakage_checked": not options.allow_leakage,
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.json, json.dumps(figures, indent=1) + "\n")
    if options.plots:
        from bytecover_tf.evaluation.plots import plot_evaluation

        for path in plot_evaluation(result, options.plots):
            print(f"drawn: {path}")
    return cli.OK if len(usable) == len(tracks) else cli.SOME_FAILED


DESCRIPTION = """\
Measure an encoder by its data set's protocol: MAP, P@10 and MR1.

Covers80 and SHS100K-TEST search all recordings among all, Da-TACOS 13 000 queries among
15 000 recordings, and YouTube350 250 queries among 100. Works or recordings that the
encoder was trained on are refused. Missing features are extracted first.

examples:
  python -m bytecover_tf.evaluate --encoder bytecover-small --align 100
  python -m bytecover_tf.evaluate --encoder runs/tunes
  python -m bytecover_tf.evaluate --encoder encoder.keras --data covers80 \\
      --data-root covers80 --json covers80.json --plots plots
"""


if __name__ == "__main__":
    cli.run(main)
