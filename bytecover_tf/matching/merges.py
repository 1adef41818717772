"""What merges have changed, so that they can be undone.

A JSON file holds one entry a merge: by id of each recording the work before and after.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bytecover_tf.errors import DataError
from bytecover_tf.files import json_object, write_atomically

FILE_NAME = "merges.json"
"""In a catalogue's folder, the record of the merges in it."""

Changes = Mapping[str, tuple[str, str]]
"""The work before and after, by id of a recording."""


def read_merges(path: Path) -> list[Changes]:
    """Return the merges that a file records, the latest last.

    Raises:
        DataError: the file is something else.
    """
    if not path.exists():
        return []
    merges = json_object(path.read_bytes(), path, DataError).get("merges")
    try:
        return [
            {name: (str(before), str(after)) for name, (before, after) in each.items()}
            for each in merges  # type: ignore[union-attr]
        ]
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: no record of merges ({error})") from None


def write_merges(path: Path, merges: list[Changes]) -> None:
    """Write what `read_merges` reads."""
    write_atomically(path, json.dumps({"merges": merges}, indent=1) + "\n")
