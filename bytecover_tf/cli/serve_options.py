"""The options of `serve`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bytecover_tf.cli import arguments


def serve_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command.

    Args:
        description: what --help says above the options.
    """
    parser = arguments.parser("serve", description)
    arguments.add_catalogue_argument(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; any but this machine's own needs a token",
    )
    parser.add_argument(
        "--port",
        type=arguments.port,
        default=8000,
        help="port to listen on; 0 chooses a free one",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="let requests name files in this folder by their path, and add them to "
        "the catalogue; may be repeated",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file whose first line is the token that requests must bring "
        "(default: the environment variable BYTECOVER_TOKEN, if it is set)",
    )
    arguments.add_encoder_argument(parser, arguments.MADE_WITH)
    arguments.add_hearing_argument(parser)
    arguments.add_calibration_argument(parser)
    arguments.add_record_argument(parser)
    bounds = parser.add_argument_group("bounds")
    bounds.add_argument(
        "--workers",
        type=arguments.positive_int,
        default=2,
        metavar="N",
        help="number of processes that do the work; if there are two or more, one "
        "is kept free of jobs",
    )
    for option, default, meaning in (
        ("--max-upload", 512, "MiB that a request may send"),
        ("--max-memory", 4096, "MiB that a worker may hold (Linux)"),
        ("--max-seconds", 120, "seconds that a request may take"),
        ("--max-job-seconds", 3600, "seconds that a job may take"),
        ("--max-waiting", 16, "requests that may wait for a worker"),
        ("--max-jobs", 8, "jobs that may wait or run"),
        ("--keep", 3600, "seconds for which the result of a job is kept"),
    ):
        bounds.add_argument(
            option,
            type=arguments.positive_int,
            default=default,
            metavar="N",
            help=meaning,
        )
    return parser
