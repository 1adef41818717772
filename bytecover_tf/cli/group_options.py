"""The options of `group`."""

from __future__ import annotations

import argparse

from bytecover_tf.cli import arguments


def group_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command.

    Args:
        description: what --help says above the options.
    """
    parser = arguments.parser("group", description)
    arguments.add_catalogue_argument(parser)
    parser.add_argument(
        "--threshold",
        type=arguments.probability,
        metavar="P",
        help="least probability at which two recordings are linked (default: 0.9 that "
        "they are versions; with --duplicates, 0.5 that they are one performance)",
    )
    parser.add_argument(
        "--candidates",
        type=arguments.positive_int,
        default=100,
        metavar="N",
        help="number of nearest recordings to compare each with",
    )
    arguments.add_calibration_argument(parser)
    parser.add_argument(
        "--json",
        type=arguments.output_file,
        metavar="FILE",
        help="write groups and links to this file",
    )
    parser.add_argument(
        "--csv",
        type=arguments.output_file,
        metavar="FILE",
        help="write a line per link to this file",
    )
    parser.add_argument(
        "--duplicates",
        action="store_true",
        help="list the recordings of one performance instead, and change nothing",
    )
    parser.add_argument(
        "--merge",
        action="store_true",
        help="give the recordings of a group the same work in the catalogue",
    )
    parser.add_argument(
        "--undo",
        action="store_true",
        help="take the latest --merge back, and do nothing else",
    )
    arguments.add_record_argument(parser)
    arguments.add_threads_argument(parser)
    return parser


def check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Choose the threshold, and end with an error if options do not go together.

    Args:
        parser: the command's parser.
        options: what it parsed; `threshold` is set if it is None.
    """
    if options.threshold is None:
        options.threshold = 0.5 if options.duplicates else 0.9
    if options.duplicates and (options.merge or options.undo):
        parser.error("--duplicates changes nothing; use --merge and --undo without it")
