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

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bytecover_tf import cli
from bytecover_tf.cli.evaluate_options import evaluate_parser
from bytecover_tf.errors import ConfigError

if TYPE_CHECKING:
    from bytecover_tf.data.track import Track
    from bytecover_tf.evaluation.measuring import Measured


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate an encoder or another system; return the exit status."""
    parser = evaluate_parser(__doc__)
    options = parser.parse_args(arguments)
    if options.align and options.encoder is None:
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
    from bytecover_tf.evaluation.protocol import choose_split

    tracks = choose_split(cli.read_tracks(options), options.split)
    measure = _measure_file if options.encoder is None else _measure_encoder
    measured, skipped = measure(options, tracks)
    report_evaluation(measured, skipped, options)
    return cli.SOME_FAILED if skipped else cli.OK


def _measure_encoder(
    options: argparse.Namespace, tracks: list[Track]
) -> tuple[Measured, int]:
    """Return what was measured, and how many tracks could not be read."""
    from bytecover_tf.encoders.encoder import load_encoder
    from bytecover_tf.evaluation.measuring import measure_encoder, measure_sound
    from bytecover_tf.evaluation.reranking import check_frontend

    encoder = load_encoder(options.encoder)
    if encoder.reads_samples:
        if options.align:
            raise ConfigError(
                f"--align needs an encoder of features; {options.encoder} reads "
                "waveforms"
            )
        measured = measure_sound(
            encoder, options.encoder, options.data, tracks, options.allow_leakage
        )
        return measured, len(measured.failed)
    if options.align:
        check_frontend(encoder.frontend)
    usable, store = cli.open_features(options, tracks, encoder.frontend)
    measured = measure_encoder(
        encoder,
        options.encoder,
        options.data,
        usable,
        store,
        options.align,
        options.allow_leakage,
    )
    return measured, len(tracks) - len(usable) + len(measured.failed)


def _measure_file(
    options: argparse.Namespace, tracks: list[Track]
) -> tuple[Measured, int]:
    """Return what was measured, and of how many tracks the file says nothing."""
    from bytecover_tf.evaluation.measuring import measure_file

    measured = measure_file(tracks, options.embeddings, options.similarities)
    for name, reason in measured.failed.items():
        cli.warn(f"skipped: {name}: {reason}")
    return measured, len(measured.failed)


if __name__ == "__main__":
    cli.run(main)
