"""Where in a long recording a song begins and ends.

What lies around the windows that speak for a work is aligned with its recording once
more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.identification import Comparison, Match, Query
from bytecover_tf.matching.songs import Song, length
from bytecover_tf.matching.voting import Run

if TYPE_CHECKING:
    from bytecover_tf.catalogues.catalogue import Catalogue

# A song, and a part of one, is at least so long.
_SHORTEST = 15.0
# A shorter song than this must be as probable as the verdict `version` asks: in a long
# recording there are many places where so little resembles something by chance.
_SHORT = 30.0
# A song begins or ends where its recording does, if that is so near.
_NEAR = 10.0


@dataclass(frozen=True)
class Placing:
    """Says where songs begin and end.

    Attributes:
        catalogue: where their recordings are.
        chroma: uint8 (12 * parts, n), of the whole recording.
        calibration: gives the probabilities.
        least: the least one of a song.
        among: number of recordings in the catalogue.
        seconds: duration of a frame of chroma.
        artist: as the tags of the recording name it; empty if they do not.
    """

    catalogue: Catalogue
    chroma: np.ndarray
    calibration: Calibration
    least: float
    among: int
    seconds: float
    artist: str = ""

    def songs(self, run: Run) -> list[Song]:
        """Return the songs in what a run covers: more than one if it is repeated."""
        best = run.best
        name = best.recording.id
        reference = self.catalogue.chroma([name]).get(name)
        if reference is None:  # removed since
            return []
        similarity = max(
            match.similarity for match in run.matches if match.recording.id == name
        )
        best = replace(best, similarity=similarity)
        parts = list(self._stretches(best, reference, run.first, run.end))
        songs: list[Song] = []
        for part in parts:
            if songs and not _begins_again(songs[-1], part):
                songs[-1] = _joined_with(songs[-1], part)
            else:
                songs.append(part)
        least = max(self.least, self.calibration.version)
        return [
            self._completed(song)
            for song in songs
            if length(song) >= _SHORT or (song.probability or 0) >= least
        ]

    def _stretches(
        self, best: Match, reference: np.ndarray, first: int, end: int
    ) -> Iterator[Song]:
        """Yield in order the stretches between two frames that match a recording."""
        if (end - first) * self.seconds < _SHORTEST:
            return
        heard = self.chroma[:, first:end]
        query = Query("", np.empty((0, 0)), heard, artist=self.artist)
        compared = Comparison.of(
            query,
            [best.recording],
            [reference],
            np.array([best.similarity]),
            self.among,
            self.seconds,
            1,
        )
        (match,) = compared.matches(self.calibration)
        if match.probability < self.least or match.tempo_ratio is None:
            return
        lead = first * self.seconds
        match = replace(
            match,
            query_start=match.query_start + lead,
            query_end=match.query_end + lead,
        )
        start, stop = (
            round(at / self.seconds) for at in (match.query_start, match.query_end)
        )
        yield from self._stretches(best, reference, first, start)
        if match.query_end - match.query_start >= _SHORTEST:
            yield Song(match.query_start, match.query_end, match)
        yield from self._stretches(best, reference, stop, end)

    def _completed(self, song: Song) -> Song:
        """Return a song from the beginning and to the end of its recording, if near."""
        match = song.match
        assert match is not None
        assert match.tempo_ratio is not None
        before = match.recording_start * match.tempo_ratio
        after = (match.recording.duration - match.recording_end) * match.tempo_ratio
        end = self.chroma.shape[1] * self.seconds
        return replace(
            song,
            start=max(song.start - (before if before <= _NEAR else 0), 0.0),
            end=min(song.end + (after if 0 <= after <= _NEAR else 0), end),
        )


def _begins_again(before: Song, after: Song) -> bool:
    """Tell whether the second of two stretches of a work is the song once more."""
    one, other = before.match, after.match
    assert one is not None
    assert other is not None
    again = min(one.recording_end, other.recording_end) - other.recording_start
    shorter = min(length(before), length(after))
    return other.recording_start < one.recording_start + shorter / 3 and (
        again >= shorter / 2
    )


def _joined_with(before: Song, after: Song) -> Song:
    """Return a song of two stretches, with the match of the longer one.

    If the recording goes on from one to the other, the match covers both.
    """
    match = max(before, after, key=length).match
    one, other = before.match, after.match
    assert match is not None
    assert one is not None
    assert other is not None
    if other.recording_start >= one.recording_end - _NEAR:
        match = replace(
            match,
            query_start=one.query_start,
            query_end=other.query_end,
            recording_start=one.recording_start,
            recording_end=other.recording_end,
        )
    return Song(before.start, after.end, match)
