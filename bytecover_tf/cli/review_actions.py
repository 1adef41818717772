"""What `review` does at one go, in contrast to the questions on a terminal."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bytecover_tf.cli.questions import print_decision, print_question, print_undone
from bytecover_tf.errors import DataError
from bytecover_tf.terminal import counted, show_json, warn

if TYPE_CHECKING:
    from bytecover_tf.catalogues import Catalogue
    from bytecover_tf.matching.decisions import Decision, Record

ACTIONS = ("ask", "list", "show", "accept", "reject", "merge", "split", "undo")


def act(catalogue: Catalogue, record: Record, options: argparse.Namespace) -> None:
    """Show questions or take a decision.

    Args:
        catalogue: what they are about.
        record: keeps the decisions.
        options: of `review`; their `action` is any of `ACTIONS` but `ask`.

    Raises:
        DataError: a name is not that of a question or recording.
    """
    if options.action in ("list", "show"):
        _show(catalogue, record, options)
        return
    decision = _decide(catalogue, record, options)
    if options.json:
        show_json(decision.to_dict())
    elif options.action != "undo":
        print_decision(decision)


def _show(catalogue: Catalogue, record: Record, options: argparse.Namespace) -> None:
    from bytecover_tf.matching.questions import draw, find_question, queue

    if options.action == "list":
        questions = queue(catalogue, record)
    else:
        questions = [find_question(catalogue, _number(options), record)]
    for question in questions:
        if options.json:
            show_json(question.to_dict())
        else:
            print_question(question)
    if options.action == "show" and options.plot:
        draw(catalogue, questions[0], options.plot)
        warn(f"written: {options.plot}")
    elif options.action == "list" and not options.json:
        count = counted(len(questions), "question", "questions")
        print(f"{count}; `group` looks for more")


def _decide(
    catalogue: Catalogue, record: Record, options: argparse.Namespace
) -> Decision:
    from bytecover_tf.catalogues.listing import find_ids
    from bytecover_tf.matching import review
    from bytecover_tf.matching.questions import find_question

    if options.action in ("accept", "reject"):
        question = find_question(catalogue, _number(options), record)
        is_version = options.action == "accept"
        return review.decide(catalogue, question.pair, is_version, options.work, record)
    if options.action == "undo":
        if options.names:
            raise DataError(
                "undo: takes the latest decision back, whatever it was; expected no "
                f"name, found {' '.join(options.names)}"
            )
        decision, count = review.undo(catalogue, record)
        if not options.json:
            print_undone(decision, count)
        return decision
    known = find_ids(catalogue, options.names)
    ids = [known[name] or name for name in options.names]
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
