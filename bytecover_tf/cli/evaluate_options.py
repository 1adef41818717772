"""The options of `evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bytecover_tf.cli import arguments


def evaluate_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command.

    Args:
        description: what --help says above the options.
    """
    parser = arguments.parser("evaluate", description)
    systems = parser.add_mutually_exclusive_group(required=True)
    arguments.add_encoder_argument(systems, "")
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
    systems.add_argument(
        "--set-list",
        type=Path,
        nargs=2,
        metavar=("FOUND", "PLAYED"),
        help="compare what a system found in a concert, as identify --setlist --mirex "
        "prints it, with what was played; no data set is needed",
    )
    arguments.add_data_arguments(parser, default="tunes")
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test", "all"),
        default="test",
        help="which tracks to search",
    )
    parser.add_argument(
        "--allow-leakage",
        action="store_true",
        help="measure even if the encoder was trained on some of these works or "
        "recordings",
    )
    parser.add_argument(
        "--align",
        type=arguments.positive_int,
        metavar="N",
        help="also align each query with its N nearest references, as identify does "
        "with 100 in a catalogue that hears no notes (index --hearing none), and "
        "measure that ranking; the encoder's frames must average 20 frames of the "
        "transform or a divisor of 20",
    )
    parser.add_argument(
        "--json",
        type=arguments.file_in_new_folder,
        metavar="FILE",
        help="write the figures to this file",
    )
    parser.add_argument(
        "--mirex",
        type=arguments.output_file,
        metavar="FILE",
        help="write the distances of all pairs, by embeddings alone also with --align, "
        "to this file, in the format of MIREX's cover song identification",
    )
    parser.add_argument(
        "--plots",
        type=arguments.output_folder,
        metavar="DIR",
        help="write pictures (PNG) into this folder: the ranks of first hits, and "
        "the similarities of versions and of other pairs",
    )
    return parser
