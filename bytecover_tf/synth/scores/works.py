"""Works of a synthesised data set, and the tables that list them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

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


def write_sources(path: Path, works: Sequence[Work]) -> None:
    """Write which score of which collection each work is made from, as CSV."""
    rights = {collection.name: collection.rights for collection in COLLECTIONS}
    write_csv(
        path,
        [
            {
                "work": work.id,
                "title": score.title,
                "collection": score.collection,
                "rights": rights[score.collection],
            }
            for work in works
            for score in work.scores
        ],
    )


def write_csv(path: Path, rows: Sequence[JsonObject]) -> None:
    """Write rows of equal keys, the keys as the first line."""
    text = StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())
