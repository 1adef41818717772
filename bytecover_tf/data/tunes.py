"""The data set that comes with the package: covers synthesised from free scores.

Folk tunes, chorales and songs, each arranged, rendered and recorded several times in
other keys, tempi, instruments and structures. `tunes/README.md` says what is in it and
how to build it again.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import cast, get_args

from bytecover_tf.data import manifest
from bytecover_tf.data.track import Role, Split, Track
from bytecover_tf.errors import DataError

FOLDER = Path(__file__).with_suffix("")
STORE = FOLDER / "store"
"""Features of the test works, of recordings that were rendered."""
SCORES = FOLDER / "versions.jsonl.xz"
"""The versions of the other works, of which `drawn_tunes` draws the features."""
AUDIO = FOLDER / "audio"


def load(root: Path | None = None) -> list[Track]:
    """Return the embedded tracks.

    Args:
        root: another folder of the same layout, such as a newly built one.

    Raises:
        DataError: the folder has no `tracks.csv`, or it is malformed.
    """
    path = (root or FOLDER) / "tracks.csv"
    if not path.exists():
        raise DataError(f"{path}: no such file, so this is not a packed data set")
    return manifest.unique(
        (where, _track(where, row)) for where, row in manifest.rows(path, ())
    )


def unseen_sources() -> set[tuple[str, str]]:
    """Return title and collection of all scores of validation and test works."""
    unseen = {track.work for track in load() if track.split != "train"}
    with open(FOLDER / "sources.csv", newline="", encoding="utf-8") as file:
        return {
            (row["title"], row["collection"])
            for row in csv.DictReader(file)
            if row["work"] in unseen
        }


def audio_files() -> list[Path]:
    """Return the embedded recordings, `<work>-<version>.ogg`, in order."""
    return sorted(AUDIO.glob("*.ogg"))


def _track(where: str, row: dict[str, str]) -> Track:
    for column in ("id", "work", "path", "split", "role"):
        if not row.get(column):
            raise DataError(f"{where}: expected a {column!r}, found none")
    return Track(
        row["id"],
        row["work"],
        row["path"],
        cast(Split, manifest.choice(where, row, "split", get_args(Split), "")),
        cast(Role, manifest.choice(where, row, "role", get_args(Role), "")),
    )
