"""Tables of matches on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bytecover_tf.terminal import clock, printable

if TYPE_CHECKING:
    from bytecover_tf.matching.identification import Match


def place(match: Match) -> tuple[str, str, str]:
    """Return where two recordings match, and in which key and tempo.

    The key is in semitones from the first to the second, the tempo is the second's
    over the first's.
    """
    if match.is_same:
        return "same recording", "", ""
    if match.tempo_ratio is None:
        return "nowhere", "", ""
    here = f"{clock(match.query_start)}-{clock(match.query_end)}"
    there = f"{clock(match.recording_start)}-{clock(match.recording_end)}"
    key = f"{match.transposition:+d}" if match.transposition else "same"
    return f"{here} = {there}", key, f"x {match.tempo_ratio:.2f}"


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of a table, indented, and cut long cells but for the last of a row."""
    rows = [
        [*(_cut(printable(cell)) for cell in row[:-1]), printable(row[-1])]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = map(str.ljust, row, widths)
        print("  " + "  ".join(cells).rstrip())


def _cut(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
