"""Groups of versions on standard output, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bytecover_tf.cli.tables import place, print_columns
from bytecover_tf.files import write_atomically
from bytecover_tf.terminal import csv_cell, show

if TYPE_CHECKING:
    from bytecover_tf.matching.grouping import Group


def print_group(group: Group) -> None:
    """Print a group with the evidence of its links."""
    if group.work is None:
        names = f"several works, which are not merged: {', '.join(group.works)}"
    else:
        names = f"work {group.work}"
    show(f"{names} ({len(group.recordings)} recordings)")
    for recording in group.recordings:
        show(f"  {recording.label}  {recording.path}")
    print_columns(
        [
            (
                f"{link.match.probability:.2f}",
                link.recording.label,
                link.match.recording.label,
                *place(link.match),
            )
            for link in group.links
        ]
    )
    print()


def write_groups_json(groups: Sequence[Group], path: Path) -> None:
    """Write groups and links as one JSON array."""
    text = json.dumps([group.to_dict() for group in groups], indent=1)
    write_atomically(path, text + "\n")


def write_links_csv(groups: Sequence[Group], path: Path) -> None:
    """Write a line per link under a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [
        {"group": number, "work": group.work or "", **link.to_dict()}
        for number, group in enumerate(groups, 1)
        for link in group.links
    ]
    writer.writerow(rows[0] if rows else ("group", "work"))
    writer.writerows(map(csv_cell, row.values()) for row in rows)
    write_atomically(path, text.getvalue())
