"""The options of `monitor`."""

from __future__ import annotations

import argparse

from bytecover_tf.cli import arguments
from bytecover_tf.cli.webhook import Webhook


def monitor_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command.

    Args:
        description: what --help says above the options.
    """
    parser = arguments.parser("monitor", description)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="an address, a device or a file, as FFmpeg takes it",
    )
    arguments.add_search_arguments(parser)
    parser.add_argument(
        "--format",
        metavar="NAME",
        help="FFmpeg's name of the input format, such as alsa, avfoundation or dshow "
        "for a microphone",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="wait at the end of a file for more, as it is written",
    )
    parser.add_argument(
        "--attempts",
        type=arguments.positive_int,
        metavar="N",
        help="give up after this many failed attempts in a row (default: never)",
    )
    parser.add_argument(
        "--webhook",
        type=Webhook,
        metavar="URL",
        help="POST each change to this http or https address instead of printing it",
    )
    arguments.add_threads_argument(parser)
    return parser
