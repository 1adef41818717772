"""Set lists: which songs a concert has, when, and how well a system found them.

MIREX's set list identification asks first for the sequence of a concert's songs, then
for the times between which each is played
(music-ir.org/mirex/wiki/2021:Set_List_Identification). A file holds one concert, with a
line a song in the order of playing:

    <song>                                     the sequence alone
    <start> <tab> <end> <tab> <song>           with times, in seconds

MIREX writes labelled stretches of time in the same way elsewhere, and Audacity exports
labels so. The measures are edit distance and boundary deviation, those of the task and
of Wang et al., "Automatic set list identification and song segmentation for full-length
concert videos", ISMIR 2014, and also the share of the time that is labelled right.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bytecover_tf.data import files
from bytecover_tf.errors import DataError
from bytecover_tf.files import JsonObject, write_atomically


class Played(NamedTuple):
    """A song in a concert.

    Attributes:
        song: its name.
        start: where it begins, in seconds; None if only the sequence is known.
        end: where it ends, in seconds, after `start`; None likewise.
    """

    song: str
    start: float | None = None
    end: float | None = None

    @property
    def line(self) -> str:
        """The song's line of a set list."""
        times = "" if self.start is None else f"{self.start:.3f}\t{self.end:.3f}\t"
        return times + self.song


def read_set_list(path: Path) -> list[Played]:
    """Read a set list, with times or without.

    Args:
        path: UTF-8 text. A system that found nothing writes an empty file.

    Raises:
        DataError: with the line and what was expected, if the file is missing, mixes
            lines with and without times, or a song ends before it starts or starts
            before the one above it.
    """
    songs: list[Played] = []
    for number, line in files.lines(path):
        where = f"{path}:{number}"
        played = _played(line.split("\t"), where)
        if songs and (songs[-1].start is None) != (played.start is None):
            raise DataError(f"{where}: expected times on every line or on none")
        if songs and (songs[-1].start or 0) > (played.start or 0):
            raise DataError(f"{where}: expected songs in the order of their starts")
        songs.append(played)
    return songs


def _played(fields: list[str], where: str) -> Played:
    if len(fields) == 1:
        return Played(files.composed(fields[0].strip()))
    if len(fields) != 3 or not fields[2].strip():
        raise DataError(
            f"{where}: expected a song, or start, end and song separated by tabs, "
            f"found {len(fields)} fields"
        )
    try:
        start, end = float(fields[0]), float(fields[1])
    except ValueError:
        start, end = math.nan, math.nan
    if not (0 <= start < end < math.inf):
        raise DataError(
            f"{where}: expected seconds with the end after the start, found "
            f"{fields[0]!r} and {fields[1]!r}"
        )
    return Played(files.composed(fields[2].strip()), start, end)


def write_set_list(path: Path, songs: Sequence[Played]) -> None:
    """Write a set list, with times where the songs have them.

    Args:
        path: the file, which appears when it is complete.
        songs: in the order of playing.

    Raises:
        DataError: a name is empty or holds a tab or a line end.
    """
    for song in songs:
        name = song.song
        if not name.strip() or any(mark in name for mark in "\t\r\n"):
            raise DataError(f"{path}: expected a song's name on one line, not {name!r}")
    write_atomically(path, "".join(f"{song.line}\n" for song in songs))


def measure(found: Sequence[Played], played: Sequence[Played]) -> JsonObject:
    """Compare what a system heard in a concert with what was played.

    Returns:
        `songs` played, `found` by the system and `edit_distance`. `time_found`, the
        share of the time, is None unless both have times, and `boundary_deviation`, in
        seconds, unless they also have the same songs in the same order.

    Raises:
        DataError: nothing was played, or a song twice at one time.
    """
    if not played:
        raise DataError("expected a line for each song that was played, found none")
    timed = all(song.start is not None for song in (*found, *played))
    distance = edit_distance(found, played)
    return {
        "songs": len(played),
        "found": len(found),
        "edit_distance": distance,
        "time_found": time_found(found, played) if timed else None,
        "boundary_deviation": (
            boundary_deviation(found, played) if timed and not distance else None
        ),
    }


def edit_distance(found: Sequence[Played], played: Sequence[Played]) -> int:
    """Return how many songs to insert, delete or replace to correct a sequence."""
    row = list(range(len(played) + 1))
    for number, one in enumerate(found, 1):
        corner, row[0] = row[0], number
        for place, other in enumerate(played, 1):
            corner, row[place] = (
                row[place],
                min(
                    row[place] + 1,
                    row[place - 1] + 1,
                    corner + (one.song != other.song),
                ),
            )
    return row[-1]


def boundary_deviation(found: Sequence[Played], played: Sequence[Played]) -> float:
    """Return by how many seconds starts and ends are off, in the mean.

    Args:
        found: the songs of `played` in the same order, with the times of a system, as
            in MIREX's second task, where the sequence is given.
        played: the concert.

    Raises:
        DataError: the songs are others, or a time is missing.
    """
    if [one.song for one in found] != [one.song for one in played]:
        raise DataError(
            "expected the same songs in the same order, since boundaries are compared "
            f"song by song; found {len(found)} for {len(played)}"
        )
    pairs = zip(_timed(found), _timed(played), strict=True)
    off = [abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True)]
    return sum(off) / len(off)


def time_found(found: Sequence[Played], played: Sequence[Played]) -> float:
    """Return the share of the songs' time that a system gives to the right song.

    Other songs given to the same time cost nothing here, as neither do songs found
    where none is played; the edit distance and the boundaries tell of them.

    Args:
        found: what a system heard, in any order. Stretches may overlap.
        played: the concert.

    Raises:
        DataError: a time is missing, or a song is played twice at one time.
    """
    heard, true = _stretches(found), _stretches(played)
    right = total = 0.0
    for song, stretches in true.items():
        for (_, before), (after, _) in itertools.pairwise(stretches):
            if after < before:
                raise DataError(f"{song!r} is played twice at {after:g} s")
        total += sum(end - start for start, end in stretches)
        for since, until in _united(heard.get(song, [])):
            right += sum(
                max(0.0, min(end, until) - max(start, since))
                for start, end in stretches
            )
    return right / total


def _stretches(songs: Sequence[Played]) -> dict[str, list[tuple[float, float]]]:
    """Return when each song is played, in order."""
    found = defaultdict(list)
    for song, span in zip(songs, _timed(songs), strict=True):
        found[song.song].append(span)
    return {song: sorted(spans) for song, spans in found.items()}


def _united(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the stretches of time that ordered ones cover together."""
    covered: list[tuple[float, float]] = []
    for start, end in spans:
        if covered and start <= covered[-1][1]:
            covered[-1] = (covered[-1][0], max(covered[-1][1], end))
        else:
            covered.append((start, end))
    return covered


def _timed(songs: Sequence[Played]) -> list[tuple[float, float]]:
    spans = []
    for song, start, end in songs:
        if start is None or end is None:
            raise DataError(f"{song!r} has no times; expected a start and an end")
        spans.append((start, end))
    return spans
