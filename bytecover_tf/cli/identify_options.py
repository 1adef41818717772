"""The options of `identify`."""

from __future__ import annotations

import argparse

from bytecover_tf.cli import arguments
from bytecover_tf.cli.setlists import FORMS

# They hold one recording.
_OF_ONE = ("cue", "labels", "mirex")


def identify_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command.

    Args:
        description: what --help says above the options.
    """
    parser = arguments.parser("identify", description)
    parser.add_argument(
        "queries",
        nargs="+",
        metavar="QUERY",
        help="a recording of any length and format, or a folder of them",
    )
    arguments.add_search_arguments(parser)
    arguments.add_truncated_argument(parser)
    parser.add_argument(
        "--top",
        type=arguments.positive_int,
        default=10,
        metavar="N",
        help="number of matches to show for each query",
    )
    parser.add_argument(
        "--candidates",
        type=arguments.positive_int,
        metavar="N",
        help="number of recordings to align each query with (default: 100 for one of "
        "four minutes, more for a shorter one; with --setlist, 50 for each minute)",
    )
    _add_forms(parser)
    arguments.add_threads_argument(parser)
    return parser


def check_form(
    parser: argparse.ArgumentParser, options: argparse.Namespace, count: int
) -> None:
    """End with an error if the options do not go together.

    Args:
        parser: the command's parser.
        options: what it parsed.
        count: number of recordings to identify.
    """
    if not options.setlist and (options.least or options.form in _OF_ONE):
        parser.error("--cue, --labels, --mirex and --least need --setlist")
    if options.form in _OF_ONE and count > 1:
        parser.error(f"--{options.form} describes one recording, not {count}")


def _add_forms(parser: argparse.ArgumentParser) -> None:
    """Add --setlist, and options that set `form` to one of `cli.setlists.FORMS`."""
    parser.add_argument(
        "--setlist",
        action="store_true",
        help="write the timeline of each QUERY, a concert, set, broadcast or album: "
        "which works it plays, and from when to when",
    )
    parser.add_argument(
        "--least",
        type=arguments.probability,
        metavar="P",
        help="with --setlist: the least probability of a song (default: the least "
        "that makes a verdict `unsure`)",
    )
    parser.set_defaults(form=FORMS[0])
    group = parser.add_mutually_exclusive_group()
    for form, meaning in (
        ("json", "print one JSON object per query, each on a line"),
        ("csv", "one line per match"),
        ("cue", "with --setlist: a cue sheet of one QUERY"),
        ("labels", "with --setlist: a label track of one QUERY for Audacity"),
        ("mirex", "with --setlist: start, end and work of each song of one QUERY"),
    ):
        group.add_argument(
            f"--{form}",
            action="store_const",
            dest="form",
            const=form,
            default=argparse.SUPPRESS,
            help=meaning,
        )
