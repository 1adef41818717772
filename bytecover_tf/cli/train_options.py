"""The options of `train`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bytecover_tf.cli import arguments
from bytecover_tf.configs import config_names
from bytecover_tf.encoders.pretrained import lasting


def train_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command.

    Args:
        description: what --help says above the options.
    """
    parser = arguments.parser("train", description)
    parser.add_argument(
        "--config",
        metavar="NAME|FILE",
        help="the experiment: " + ", ".join(config_names()) + ", or a .py file, "
        "which is run (default: quick for the data tunes, small for packed, else "
        "bytecover)",
    )
    arguments.add_data_arguments(parser, default="tunes")
    parser.add_argument(
        "--waveforms",
        action="store_true",
        help="compute features of random crops of the audio files in place of stored "
        "features; for small sets",
    )
    parser.add_argument(
        "--without-datacos",
        type=Path,
        metavar="DIR",
        help="for shs100k and shs100k2: do not train on recordings of the Da-TACOS "
        "benchmark, whose metadata is in DIR",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="folder of the results (default: runs/DATA-CONFIG, numbered if taken)",
    )
    parser.add_argument(
        "--init",
        type=_encoder,
        metavar="PATH",
        help="start from the weights of this encoder instead of random ones: the "
        "name of one that comes with the package (bytecover-small), a run "
        "directory or a .keras file. It must have the same architecture; an "
        "ensemble (bytecover-base) gives the member that fits. The classifier "
        "starts anew",
    )
    parser.add_argument(
        "--teacher",
        type=_encoder,
        metavar="PATH",
        help="learn to embed recordings where this encoder embeds their scores; it "
        "must have a note layer (salience), as bytecover-small has; for drawn data "
        "sets. With --config remove: a MOVE, whose distances are learned. With "
        "--config clips: where it embeds whole recordings, their clips are to lie; "
        "mostly the encoder of --init itself",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting of the experiment, such as epochs=3 or "
        "frontend.pool=20; may be repeated",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in --run-dir with the settings, data and weights it has",
    )
    arguments.add_seed_argument(parser)
    return parser


def _encoder(text: str) -> Path:
    # `./bytecover-small` is a folder, and would be the name as a path.
    return Path(lasting(text))
