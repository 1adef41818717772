"""Decide what `group` could not: are two recordings versions of one work?

`group` puts links into a queue that are not sure enough to join works, that match over
a part of a recording, that other pairs speak against, or that join named works. On a
terminal, this command asks about one after the other. Or one by one:

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

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bytecover_tf import cli
from bytecover_tf.cli.questions import ask, print_decision, print_question
from bytecover_tf.errors import DataError

if TYPE_CHECKING:
    from bytecover_tf.catalogues import Catalogue
    from bytecover_tf.matching.decisions import Decision, Record


def main(arguments: Sequence[str] | None = None) -> int:
    """Show or decide questions; return the exit status."""
    parser = cli.parser("review", __doc__)
    actions = ("ask", "list", "show", "accept", "reject", "merge", "split", "undo")
    parser.add_argument(
        "action",
        nargs="?",
        choices=actions,
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
    parser.add_argument("--work", metavar="NAME", help="what to call the work")
    parser.add_argument(
        "--plot",
        type=cli.picture_file,
        metavar="FILE",
        help="for show: draw the match, as PNG",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one a line")
    options = cli.parse_paths(parser, arguments)
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
        elif options.action in ("list", "show"):
            _show(catalogue, record, options)
        else:
            decision = _decide(catalogue, record, options)
            if options.json:
                cli.show_json(decision.to_dict())
            elif options.action != "undo":
                print_decision(decision)
    return cli.OK


def _show(catalogue: Catalogue, record: Record, options: argparse.Namespace) -> None:
    from bytecover_tf.matching import review

    if options.action == "list":
        questions = review.queue(catalogue, record)
    else:
        questions = [review.find_question(catalogue, _number(options), record)]
    for question in questions:
        if options.json:
            cli.show_json(question.to_dict())
        else:
            print_question(question)
    if options.action == "show" and options.plot:
        review.draw(catalogue, questions[0], options.plot)
        cli.warn(f"written: {options.plot}")
    elif options.action == "list" and not options.json:
        print(f"{len(questions)} questions; `group` looks for more")


def _decide(
    catalogue: Catalogue, record: Record, options: argparse.Namespace
) -> Decision:
    from bytecover_tf.matching import review

    if options.action in ("accept", "reject"):
        question = review.find_question(catalogue, _number(options), record)
        is_version = options.action == "accept"
        return review.decide(catalogue, question.pair, is_version, options.work, record)
    if options.action == "undo":
        decision, count = review.undo(catalogue, record)
        if not options.json:
            print(f"{decision.action} undone; {count} recordings have their work again")
        return decision
    known = {}
    for recording in catalogue.recordings():
        known[recording.id] = known[recording.path] = recording.id
    ids = [
        known.get(name) or known.get(os.path.abspath(name), name)
        for name in options.names
    ]
    change = review.merge if options.action == "merge" else review.split
    return change(catalogue, ids, options.work, record)


def _number(options: argparse.Namespace) -> int:
    try:
        (name,) = options.names
        return int(name)
    except ValueError:
        raise DataError(
            f"{options.action}: expected the number of a question, found "
            f"{' '.join(options.names) or 'none'}"
        ) from None


if __name__ == "__main__":
    cli.run(main)
