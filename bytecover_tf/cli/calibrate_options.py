"""The options of `calibrate`."""

from __future__ import annotations

import argparse

from bytecover_tf.cli import arguments


def calibrate_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command.

    Args:
        description: what --help says above the options.
    """
    parser = arguments.parser("calibrate", description)
    arguments.add_catalogue_argument(
        parser, " of known works and recordings that the encoder was not trained on"
    )
    arguments.add_encoder_argument(parser, arguments.MADE_WITH)
    arguments.add_hearing_argument(parser)
    arguments.add_record_argument(parser)
    parser.add_argument(
        "--out",
        type=arguments.output_file,
        metavar="FILE",
        help="file to write (default: calibration-notes.json beside the encoder, or "
        "calibration.json for a catalogue without notes, where identify, compare and "
        "group look for it); required if the encoder came with the package",
    )
    parser.add_argument(
        "--queries",
        type=arguments.positive_int,
        default=300,
        metavar="N",
        help="number of recordings to query, chosen at random",
    )
    parser.add_argument(
        "--plot",
        type=arguments.picture_file,
        metavar="FILE",
        help="draw how often each probability was right, as PNG",
    )
    arguments.add_threads_argument(parser)
    return parser
