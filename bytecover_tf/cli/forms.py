"""The options by which `identify` chooses what it prints, and in which form."""

from __future__ import annotations

import argparse

from bytecover_tf.cli.arguments import positive_float
from bytecover_tf.cli.setlists import FORMS

# They hold one recording.
_OF_ONE = ("cue", "labels")


def add_form_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add --setlist, and options that set `form` to one of `cli.setlists.FORMS`."""
    arguments.add_argument(
        "--setlist",
        action="store_true",
        help="write the timeline of each QUERY, a concert, set, broadcast or album: "
        "which works it plays, and from when to when",
    )
    arguments.add_argument(
        "--least",
        type=positive_float,
        metavar="P",
        help="with --setlist: the least probability of a song (default: that from "
        "which a verdict is `unsure`)",
    )
    arguments.set_defaults(form=FORMS[0])
    group = arguments.add_mutually_exclusive_group()
    for form, meaning in (
        ("json", "one JSON object per query and line"),
        ("csv", "one line per match"),
        ("cue", "with --setlist: a cue sheet of one QUERY"),
        ("labels", "with --setlist: a label track of one QUERY for Audacity"),
    ):
        group.add_argument(
            f"--{form}",
            action="store_const",
            dest="form",
            const=form,
            default=argparse.SUPPRESS,
            help=meaning,
        )


def check_form(
    arguments: argparse.ArgumentParser, options: argparse.Namespace, count: int
) -> None:
    """End with an error if the options do not go together.

    Args:
        arguments: the command's parser.
        options: what it parsed.
        count: number of recordings to identify.
    """
    if not options.setlist and (options.least or options.form in _OF_ONE):
        arguments.error("--cue, --labels and --least need --setlist")
    if options.form in _OF_ONE and count > 1:
        arguments.error(f"a cue sheet or label track is of one recording, not {count}")
