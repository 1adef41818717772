"""The songs of a timeline, and what lies between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bytecover_tf.files import JsonObject
from bytecover_tf.matching.identification import Match

GAP_SECONDS = 10.0
"""The shortest stretch without a song that a timeline names."""

# Two songs overlap no longer than one is faded into the other.
_FADE = 12.0


@dataclass(frozen=True)
class Song:
    """A stretch of a timeline.

    Attributes:
        start: in seconds.
        end: in seconds.
        match: the recording that it is a version of, and the places in both; None for
            a stretch of which nothing is known: another song, talk, applause.
    """

    start: float
    end: float
    match: Match | None = None

    @property
    def work(self) -> str | None:
        """The work; None if it is unknown."""
        return self.match.recording.work if self.match else None

    @property
    def probability(self) -> float | None:
        """How likely it is a version of the work; None if that is unknown."""
        return self.match.probability if self.match else None

    def to_dict(self) -> JsonObject:
        """Return the stretch as a JSON object, or a row of CSV."""
        facts: JsonObject = {
            "start": round(self.start, 2),
            "end": round(self.end, 2),
            "work": None,
            "probability": None,
        }
        return facts | (self.match.to_dict() if self.match else {})


def settled(songs: Iterable[Song]) -> list[Song]:
    """Return songs in order that overlap no more than a fade.

    Of two that explain the same stretch the less probable one is left out.
    """
    kept: list[Song] = []
    for song in sorted(songs, key=lambda one: -(one.probability or 0)):
        if all(
            overlap(song, other) <= min(length(song), length(other)) / 2
            for other in kept
        ):
            kept.append(song)
    kept.sort(key=lambda one: (one.start, one.end))
    for i in range(1, len(kept)):
        before, after = kept[i - 1], kept[i]
        over = before.end - after.start
        if over > _FADE:
            middle = (before.end + after.start) / 2
            kept[i - 1] = replace(before, end=middle + _FADE / 2)
            kept[i] = replace(after, start=middle - _FADE / 2)
    return kept


def with_gaps(songs: Sequence[Song], end: float) -> list[Song]:
    """Return songs with the unknown stretches between them.

    Args:
        songs: in order.
        end: of the recording, in seconds.
    """
    filled: list[Song] = []
    reached = 0.0
    for song in songs:
        if song.start - reached >= GAP_SECONDS:
            filled.append(Song(reached, song.start))
        filled.append(song)
        reached = max(reached, song.end)
    if end - reached >= GAP_SECONDS or not filled:
        filled.append(Song(reached, end))
    return filled


def length(song: Song) -> float:
    """Return the seconds that a song takes."""
    return song.end - song.start


def overlap(one: Song, other: Song) -> float:
    """Return the seconds that two songs share; negative if they are apart."""
    return min(one.end, other.end) - max(one.start, other.start)
