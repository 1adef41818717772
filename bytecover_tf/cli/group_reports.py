"""Groups of versions on standard output, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bytecover_tf.catalogues.identifiers import EXPECTED
from bytecover_tf.cli.tables import place, print_columns
from bytecover_tf.files import write_atomically
from bytecover_tf.terminal import clock, counted, csv_cell, show

if TYPE_CHECKING:
    from bytecover_tf.catalogues.rows import Recording
    from bytecover_tf.matching.calibration import Calibration
    from bytecover_tf.matching.grouping import Group
    from bytecover_tf.matching.merging import Merging


def print_groups(
    groups: Sequence[Group], address: str, calibration: Calibration
) -> None:
    """Print groups of versions with the evidence of their links, and their number."""
    for group in groups:
        if group.work is None:
            names = ", ".join(group.works)
            name = f"several works, which are not merged: {names}"
        else:
            name = f"work {group.work}"
        show(f"{name} ({len(group.recordings)} recordings)")
        for recording in group.recordings:
            show(f"  {recording.label}  {recording.path}")
        _print_links(group, [link.match.probability for link in group.links])
    found = counted(len(groups), "group", "groups")
    grouped = sum(len(group.recordings) for group in groups)
    show(f"{address}: {found} of {grouped} recordings ({calibration})")


def print_duplicates(groups: Sequence[Group], address: str) -> None:
    """Print groups of one performance each, and what the duplicates take."""
    for group in groups:
        show(f"one performance ({len(group.recordings)} recordings)")
        for recording in group.recordings:
            length, size = clock(recording.duration), _megabytes([recording])
            show(f"  {length}  {size}  {recording.label}  {recording.path}")
        _print_links(group, [link.same_performance for link in group.links])
    others = [each for group in groups for each in group.recordings[1:]]
    kept = counted(len(groups), "performance is", "performances are")
    take = counted(len(others), "duplicate takes", "duplicates take")
    show(f"{address}: {kept} kept more than once; {take} {_megabytes(others)}")


def _print_links(group: Group, probabilities: Sequence[float]) -> None:
    print_columns(
        [
            (
                f"{probability:.2f}",
                link.recording.label,
                link.match.recording.label,
                *place(link.match),
            )
            for link, probability in zip(group.links, probabilities, strict=True)
        ]
    )
    print()


def _megabytes(recordings: Sequence[Recording]) -> str:
    return f"{sum(each.size for each in recordings) / 1e6:.1f} MB"


def print_outcome(outcome: Merging, merged: bool) -> None:
    """Print how many recordings were merged, if any could be, and what is open."""
    if merged:
        hint = "; --undo takes that back" if outcome.changed else ""
        changed = counted(outcome.changed, "recording has", "recordings have")
        print(f"{changed} another work now{hint}")
    links = counted(outcome.questions, "link is", "links are")
    print(f"{links} for a person to decide; see `bytecover review`")


def print_undone(count: int, address: str) -> None:
    """Print how many recordings of a catalogue a merge was taken back for."""
    back = counted(count, "recording has its", "recordings have their")
    show(f"{address}: {back} former work again")


def write_groups(
    groups: Sequence[Group], json_path: Path | None, csv_path: Path | None
) -> None:
    """Write groups and links as JSON, and links as CSV, to the files that are named."""
    if json_path:
        text = json.dumps([group.to_dict() for group in groups], indent=1)
        write_atomically(json_path, text + "\n")
    if csv_path:
        _write_links(groups, csv_path)


_LINK_COLUMNS = (
    *("group", "work", "query", "recording", "similarity", "probability", "score"),
    *("transposition", "tempo_ratio", "query_start", "query_end", "recording_start"),
    *("recording_end", "relation", "relation_probability", "is_part"),
    *(f"{side}_{name}" for side in ("query", "recording") for name in EXPECTED),
)


def _write_links(groups: Sequence[Group], path: Path) -> None:
    """Write a line per link under a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _LINK_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for number, group in enumerate(groups, 1):
        for link in group.links:
            row = {"group": number, "work": group.work or "", **link.to_dict()}
            writer.writerow({name: csv_cell(value) for name, value in row.items()})
    write_atomically(path, text.getvalue())
