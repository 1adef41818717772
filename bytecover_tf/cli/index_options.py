"""The options of `index`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bytecover_tf.cli import arguments
from bytecover_tf.encoders.pretrained import FINDS_MOST


def index_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command.

    Args:
        description: what --help says above the options.
    """
    parser = arguments.parser("index", description)
    parser.add_argument(
        "folders", nargs="*", metavar="FOLDER", help="music, subfolders included"
    )
    arguments.add_catalogue_argument(parser, "; made if there is none")
    arguments.add_encoder_argument(
        parser,
        " (default: the one that the catalogue was made with, "
        f"{FINDS_MOST} for a new one)",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="a list of recordings (.csv or .jsonl) with their works, and tags if "
        "it has columns for them",
    )
    parser.add_argument(
        "--segments",
        type=arguments.positive_float,
        nargs=2,
        metavar=("SECONDS", "HOP"),
        help="for a new catalogue: embed windows of this length too, one every HOP "
        "seconds",
    )
    arguments.add_record_argument(
        parser,
        "which follow files that are moved or changed",
        "without it, those about a catalogue on a server follow none",
    )
    arguments.add_again_argument(parser)
    arguments.add_truncated_argument(parser)
    parser.add_argument(
        "--hearing",
        metavar="FILE|none",
        help="for a new catalogue: the network that hears the notes (default: the "
        "one that comes with the package); none uses the transform alone, which "
        "takes two thirds of the time, finds fewer versions, and is required for "
        ".npy files. For an existing catalogue: where its network is now",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="remove recordings in the folders whose file is gone; refused if it "
        "seems that a disk is not mounted",
    )
    parser.add_argument(
        "--prune-many",
        action="store_true",
        help="prune even if a folder is empty now or most recordings are gone",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers",
        type=arguments.positive_int,
        metavar="N",
        help="number of processes that decode and transform (default: one per core)",
    )
    where.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="decode and transform on the machines of a Ray cluster, which need this "
        "package and the files at the same paths: host:port, ray://host:port or auto",
    )
    return parser
