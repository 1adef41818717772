"""What the command lines share."""

from bytecover_tf.cli.arguments import (
    HelpFormatter,
    add_again_argument,
    add_calibration_argument,
    add_catalogue_argument,
    add_data_arguments,
    add_encoder_argument,
    add_hearing_argument,
    add_truncated_argument,
    hearing_of,
    natural_int,
    parse_paths,
    parser,
    positive_float,
    positive_int,
    read_tracks,
)
from bytecover_tf.cli.status import NOTHING_DONE, OK, SOME_FAILED, run, run_safely
from bytecover_tf.extras import require_extra
from bytecover_tf.terminal import csv_cell, printable, show, show_json, warn

__all__ = [
    "NOTHING_DONE",
    "OK",
    "SOME_FAILED",
    "HelpFormatter",
    "add_again_argument",
    "add_calibration_argument",
    "add_catalogue_argument",
    "add_data_arguments",
    "add_encoder_argument",
    "add_hearing_argument",
    "add_truncated_argument",
    "csv_cell",
    "hearing_of",
    "natural_int",
    "parse_paths",
    "parser",
    "positive_float",
    "positive_int",
    "printable",
    "read_tracks",
    "require_extra",
    "run",
    "run_safely",
    "show",
    "show_json",
    "warn",
]
