"""The options of `train_hearing`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bytecover_tf.cli import arguments


def train_hearing_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command.

    Args:
        description: what --help says above the options.
    """
    parser = arguments.parser("train_hearing", description)
    parser.add_argument(
        "--labelled",
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="folders of labelled recordings, as `label` writes them",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder of this run; made if there is none",
    )
    parser.add_argument(
        "--steps",
        type=arguments.positive_int,
        default=2600,
        metavar="N",
        help="number of training steps, a multiple of 100 from 200 on",
    )
    parser.add_argument(
        "--batch",
        type=arguments.positive_int,
        default=12,
        metavar="N",
        help="number of crops of 15 s in a step",
    )
    parser.add_argument(
        "--learning-rate",
        type=arguments.positive_float,
        default=2e-3,
        metavar="RATE",
        help="peak learning rate, reached after a hundred steps",
    )
    parser.add_argument(
        "--filters",
        type=arguments.positive_int,
        default=24,
        metavar="N",
        help="channels of the hidden convolutions",
    )
    arguments.add_seed_argument(parser, "the first weights and of the crops")
    return parser
