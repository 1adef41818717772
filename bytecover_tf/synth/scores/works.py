"""Works of a synthesised data set, and the tables that list them."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from bytecover_tf.errors import DataError
from bytecover_tf.files import JsonObject, write_atomically
from bytecover_tf.synth.scores.corpora import COLLECTIONS
from bytecover_tf.synth.scores.score import Score

VALIDATION_SHARE = 0.04


@dataclass(frozen=True)
class Work:
    """A composition with the scores its versions are made from."""

    id: str
    split: str
    scores: tuple[Score, ...]


def drawn_split(number: int) -> str:
    """Return the split of a work in a training set, by its number."""
    return "train" if number % round(1 / VALIDATION_SHARE) else "validation"


def track_row(version: str, work: str, split: str, title: str) -> dict[str, str]:
    """Return the line of `tracks.csv` on a version."""
    return {
        "id": version,
        "work": work,
        "path": version,
        "split": split,
        "role": "both",
        "title": title,
    }


def source_rows(works: Sequence[Work]) -> list[dict[str, str]]:
    """Return which score of which collection each work is made from."""
    rights = {collection.name: collection.rights for collection in COLLECTIONS}
    return [
        {
            "work": work.id,
            "title": score.title,
            "collection": score.collection,
            "rights": rights[score.collection],
        }
        for work in works
        for score in work.scores
    ]


def check_same_works(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Check that no work of a table has other sources than those given for it.

    Args:
        path: a table of `source_rows`, if there is one.
        rows: of the works that are to join it.

    Raises:
        DataError: a work is made from something else.
    """
    there, here = _titles(_rows(path)), _titles(rows)
    for work in sorted(there.keys() & here.keys()):
        if there[work] != here[work]:
            raise DataError(
                f"{path}: work {work} is {', '.join(there[work])} there and "
                f"{', '.join(here[work])} now, as of other scores or another --seed; "
                "name another --out"
            )


def _titles(rows: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    titles = defaultdict(list)
    for row in rows:
        titles[row["work"]].append(f"{row['title']} ({row['collection']})")
    return titles


def _rows(path: Path) -> list[JsonObject]:
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


def join_csv(path: Path, rows: Sequence[JsonObject]) -> None:
    """Write the rows of some works beside those of others that a table has."""
    works = {row["work"] for row in rows}
    kept = [row for row in _rows(path) if row["work"] not in works]
    write_csv(path, [*kept, *rows])


def write_csv(path: Path, rows: Sequence[JsonObject]) -> None:
    """Write rows of equal keys, the keys as the first line."""
    text = StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())
