"""Decide what `group` could not: are two recordings versions of one work?

`group` queues the links that are not sure enough to join works, that match only a part
of a recording, that most other pairs contradict, or that would join named works. On a
terminal, this command asks about one after another. You can also name them:

  list             show the questions
  show N           show one; --plot draws where the two match
  accept N         they are versions: their works become one (--work names it)
  reject N         they are not, whatever `group` finds later
  merge NAME ...   make one work of those of several recordings
  split NAME ...   take recordings out of their work, as a work of their own
  undo             take the latest decision back

Decisions are kept in the catalogue. Later runs of `group` respect them, and `calibrate`
counts them as known.

Examples:
  python -m bytecover_tf.review --catalogue music.catalogue
  python -m bytecover_tf.review --catalogue music.catalogue accept 12 --work Yesterday
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bytecover_tf import cli
from bytecover_tf.cli.questions import ask
from bytecover_tf.cli.review_actions import ACTIONS, act


def main(arguments: Sequence[str] | None = None) -> int:
    """Show or decide questions; return the exit status."""
    parser = cli.parser("review", __doc__)
    parser.add_argument(
        "action",
        nargs="?",
        choices=ACTIONS,
        help="what to do (default: ask on a terminal, else list)",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="number of a question; for merge and split, paths or ids of recordings",
    )
    cli.add_catalogue_argument(parser)
    cli.add_record_argument(parser)
    parser.add_argument("--work", metavar="NAME", help="name of the work")
    parser.add_argument(
        "--plot",
        type=cli.picture_file,
        metavar="FILE",
        help="for show: draw the match, as PNG",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per line"
    )
    options = cli.parse_paths(parser, arguments)
    if options.work is not None and not options.work.strip():
        parser.error("--work needs a name")
    if options.plot:
        cli.require_extra("plots", "matplotlib")
    if options.action is None:
        is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        options.action = "ask" if is_terminal and not options.json else "list"

    from bytecover_tf.catalogues import open_catalogue
    from bytecover_tf.matching.decisions import Record

    with open_catalogue(options.catalogue) as catalogue:
        record = Record(catalogue, options.record)
        if options.action == "ask":
            ask(catalogue, record)
        else:
            act(catalogue, record, options)
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
