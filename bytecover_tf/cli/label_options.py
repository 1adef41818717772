"""The options of `label`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bytecover_tf.cli import arguments


def label_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command.

    Args:
        description: what --help says above the options.
    """
    parser = arguments.parser("label", description)
    parser.add_argument(
        "--recordings",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="music, subfolders included",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="where features and labels go; made if there is none",
    )
    parser.add_argument(
        "--set",
        metavar="NAME",
        help="the name of this collection in recordings.csv (default: the folder's "
        "name)",
    )
    parser.add_argument(
        "--role", default="train", help="the role of these recordings in recordings.csv"
    )
    parser.add_argument(
        "--workers",
        type=arguments.positive_int,
        metavar="N",
        help="number of processes that decode and listen (default: one per core)",
    )
    arguments.add_truncated_argument(parser)
    return parser
