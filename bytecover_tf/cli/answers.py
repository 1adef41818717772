"""Answers of an identification on standard output."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bytecover_tf.cli.tables import place, print_columns
from bytecover_tf.files import JsonObject
from bytecover_tf.terminal import csv_cell, show, show_json, warn

if TYPE_CHECKING:
    from bytecover_tf.matching.identification import Answer, Match


def write_answers(answers: Iterable[Answer], form: str) -> int:
    """Print answers as they come.

    Args:
        answers: of the queries.
        form: `table`, `json` or `csv`.

    Returns:
        How many queries could not be read.
    """
    write = {"table": write_table, "json": write_json, "csv": write_csv}[form]
    failed = 0
    for number, answer in enumerate(answers):
        write(answer, number == 0)
        failed += bool(answer.error)
    return failed


def write_json(answer: Answer, is_first: bool) -> None:
    """Print an answer as a line of JSON."""
    show_json(answer.to_dict())


_COLUMNS = (
    *("query", "verdict", "rank", "work", "recording", "similarity", "probability"),
    *("title", "artist", "id", "same_recording", "score", "query_start", "query_end"),
    *("recording_start", "recording_end", "transposition", "tempo_ratio", "relation"),
    *("relation_probability", "album", "composer", "year", "isrc", "iswc"),
    *("musicbrainz_recording", "musicbrainz_work", "error"),
)


def write_csv(answer: Answer, is_first: bool) -> None:
    """Print an answer as a line of CSV for each match, a header before the first."""
    writer = csv.DictWriter(sys.stdout, _COLUMNS, lineterminator="\n")
    if is_first:
        writer.writeheader()
    shared = {"query": answer.query, "verdict": answer.verdict, "error": answer.error}
    # A query without a match has a line too.
    matches: list[JsonObject] = [match.to_dict() for match in answer.matches]
    for rank, match in enumerate(matches or [{}], 1):
        row = {**shared, "rank": rank if match else "", **match}
        writer.writerow({name: csv_cell(value) for name, value in row.items()})
    sys.stdout.flush()


def write_table(answer: Answer, is_first: bool) -> None:
    """Print an answer as a table."""
    if answer.error:
        warn(f"failed: {answer.error}")
        return
    if not is_first:
        print()
    show(f"{answer.query}: {_verdict(answer)}")
    if answer.matches:
        head = (
            "prob.",
            "similar",
            "recording",
            "work",
            "where",
            "key",
            "tempo",
            "kind",
        )
        print_columns([head, *map(_cells, answer.matches)])
    sys.stdout.flush()


def _verdict(answer: Answer) -> str:
    if not answer.matches:
        return "none; the catalogue is empty"
    best = answer.matches[0]
    sure = f"probability {best.probability:.2f}"
    if best.is_same:
        return f"the same recording as {best.recording.path}"
    return {
        "version": f"a version of {best.recording.label} ({sure})",
        "unsure": f"unsure, perhaps a version of {best.recording.label} ({sure})",
        "none": f"none; no version in the catalogue (best {sure})",
    }[answer.verdict]


def _cells(match: Match) -> tuple[str, ...]:
    recording = match.recording
    return (
        f"{match.probability:.2f}",
        f"{match.similarity:.2f}",
        recording.label,
        recording.work if recording.has_named_work else "",
        *place(match),
        match.relation.kind if match.relation else "",
    )
