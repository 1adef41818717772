r"""Measure an encoder, or another system, by a data set's protocol.

Covers80 and SHS100K-TEST search all recordings among all, Da-TACOS 13 000 queries among
15 000 recordings, and YouTube350 250 queries among 100. Works or recordings that the
encoder was trained on are refused. Missing features are extracted first. What another
system was trained on is not known here.

Examples:
  python -m bytecover_tf.evaluate --encoder bytecover-small --align 100
  python -m bytecover_tf.evaluate --encoder runs/tunes-quick
  python -m bytecover_tf.evaluate --encoder encoder.keras --data covers80 \
      --data-root covers80 --json covers80.json --plots plots
  python -m bytecover_tf.evaluate --embeddings clews.npz --data covers80 \
      --data-root covers80
  python -m bytecover_tf.evaluate --set-list found.txt played.txt
"""

from __future__ import annotations

from collections.abc import Sequence

from bytecover_tf import cli
from bytecover_tf.cli.evaluate_options import evaluate_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate an encoder or another system; return the exit status."""
    parser = evaluate_parser(__doc__)
    options = parser.parse_args(arguments)
    if options.align and not options.encoder:
        parser.error("--align needs the features of an --encoder")
    if options.set_list:
        if options.plots or options.mirex:
            parser.error("--plots and --mirex are not for a --set-list")
        from bytecover_tf.cli.evaluate_reports import report_set_list

        found, played = options.set_list
        report_set_list(found, played, options.json)
        return cli.OK
    if options.plots:
        cli.require_extra("plots", "matplotlib")

    from bytecover_tf.cli.evaluate_reports import report_evaluation
    from bytecover_tf.encoders.encoder import load_encoder
    from bytecover_tf.evaluation.measuring import measure_encoder, measure_file
    from bytecover_tf.evaluation.protocol import choose_split
    from bytecover_tf.evaluation.reranking import check_frontend

    tracks = choose_split(cli.read_tracks(options), options.split)
    if options.encoder:
        encoder = load_encoder(options.encoder)
        if options.align:
            check_frontend(encoder.frontend)
        usable, store = cli.open_features(options, tracks, encoder.frontend)
        skipped = len(tracks) - len(usable)
        measured = measure_encoder(
            encoder,
            options.encoder,
            options.data,
            usable,
            store,
            options.align,
            options.allow_leakage,
        )
    else:
        measured = measure_file(tracks, options.embeddings, options.similarities)
        skipped = len(measured.failed)
        for name, reason in measured.failed.items():
            cli.warn(f"skipped: {name}: {reason}")
    report_evaluation(measured, skipped, options)
    return cli.SOME_FAILED if skipped else cli.OK


if __name__ == "__main__":
    cli.run(main)
