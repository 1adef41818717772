"""The timeline of a long recording: which work is played from when to when.

A concert, the set of a DJ, a broadcast or an album in one file is read by windows in
bounded memory. Each window is a query: its candidates are aligned and get a
probability. Neighbouring windows vote: of all ways to divide the recording among works
and the unknown, the one is taken whose windows speak most for it, where each change of
work costs something (Viterbi, "Error bounds for convolutional codes", 1967). What lies
around the windows of a work is then aligned with its recording once more, which says
where the song begins and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.decoding import declared_duration, iter_audio
from bytecover_tf.audio.windows import Window, iter_windows
from bytecover_tf.errors import AudioError
from bytecover_tf.files import JsonObject
from bytecover_tf.matching.calibration import LEAST, Calibration, calibration_for
from bytecover_tf.matching.identification import (
    Comparison,
    Match,
    Query,
    align_candidates,
)

if TYPE_CHECKING:
    from bytecover_tf.catalogues.catalogue import Catalogue
    from bytecover_tf.encoders.encoder import Encoder

WINDOW_SECONDS, HOP_SECONDS = 60.0, 15.0
CANDIDATES = 50
"""How many recordings each window is aligned with."""

GAP_SECONDS = 10.0
"""The shortest stretch without a song that a timeline names."""

# Chosen on sets made of music of Debian's games, see benchmarks/accuracy/setlist.py.
# A window speaks for a work as far as its probability is above this one.
_EVEN = 0.25
# The most that a window can say for or against a work, and what a change of work costs;
# log-odds.
MOST = 3.0
_CHANGE = 2.0
# Of each window the best matches are kept.
_KEPT = 20
# A song, and a part of one, is at least so long.
_SHORTEST = 15.0
# A shorter song than this must be as probable as the verdict `version` asks: in a long
# recording there are many places where so little resembles something by chance.
_SHORT = 30.0
# Two songs overlap no longer than one is faded into the other.
_FADE = 12.0
# A song begins or ends where its recording does, if that is so near.
_NEAR = 10.0


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


@dataclass(frozen=True)
class Vote:
    """What a window speaks for.

    Attributes:
        first: its first frame of chroma in the recording.
        end: the frame after its last.
        matches: the most probable first, with places inside the window.
    """

    first: int
    end: int
    matches: Sequence[Match]


@dataclass(frozen=True)
class Run:
    """Neighbouring windows that speak for a work.

    Attributes:
        work: its label.
        first: first frame of chroma of the first window.
        end: the frame after the last of the last.
        matches: the best with this work in each window that has one.
    """

    work: str
    first: int
    end: int
    matches: Sequence[Match]

    @property
    def best(self) -> Match:
        """A match with the recording that speaks most for the work."""
        total: dict[str, float] = {}
        for match in self.matches:
            name = match.recording.id
            total[name] = total.get(name, 0) + match.probability
        return max(
            self.matches, key=lambda one: (total[one.recording.id], one.similarity)
        )


def timeline(
    catalogue: Catalogue,
    encoder: Encoder,
    path: str | Path,
    calibration: Calibration | None = None,
    least: float | None = None,
    candidates: int | None = None,
    workers: int | None = None,
    allow_truncated: bool = False,
    progress: Callable[[float, float], None] | None = None,
) -> list[Song]:
    """Tell which works a long recording plays, and when.

    Args:
        catalogue: what to search.
        encoder: the one that made the catalogue.
        path: an audio or video file of any length.
        calibration: gives the probabilities; by default what `calibration_for`
            finds for the catalogue.
        least: songs of a lower probability are unknown; by default from where the
            calibration calls a match `unsure`.
        candidates: how many recordings to align each window with; by default
            `CANDIDATES`.
        workers: threads; by default one per core.
        allow_truncated: whether to take what is there of a truncated file.
        progress: called with the seconds that are done, and those that the file
            declares (0 if it does not), after each window. What it raises ends the
            work.

    Returns:
        Songs in order, and the stretches between them that are unknown and at least
        `GAP_SECONDS` long. Songs overlap where one is faded into the next.

    Raises:
        AudioError: the file cannot be used.
        CatalogueError: the catalogue cannot be read, or the network that heard its
            notes is gone.
    """
    identity = catalogue.identity
    hearing = identity.load_hearing(catalogue.address)
    calibration = calibration or calibration_for(identity)
    frontend = encoder.frontend
    blocks = iter_audio(path, frontend.sample_rate, allow_truncated)
    windows = iter_windows(blocks, frontend, hearing, WINDOW_SECONDS, HOP_SECONDS)
    declared = declared_duration(path) if progress else 0.0
    seconds = seconds_per_frame(frontend)

    def counted() -> Iterator[Window]:
        for window in windows:
            yield window
            if progress:
                progress(window.end * seconds, declared)

    songs = timeline_of_windows(
        catalogue, encoder, counted(), calibration, least, candidates, workers
    )
    if not songs:
        raise AudioError(f"{path}: too short for a timeline")
    return songs


def timeline_of_windows(
    catalogue: Catalogue,
    encoder: Encoder,
    windows: Iterable[Window],
    calibration: Calibration,
    least: float | None = None,
    candidates: int | None = None,
    workers: int | None = None,
) -> list[Song]:
    """Return the timeline of a recording that is cut into windows already.

    Args:
        catalogue: as of `timeline`, like the others.
        encoder: makes embeddings of the windows.
        windows: of the recording, in order, each overlapping the one before.
        calibration: gives the probabilities.
        least: as of `timeline`.
        candidates: as of `timeline`.
        workers: as of `timeline`.
    """
    among = catalogue.count()
    votes: list[Vote] = []
    chroma = _Joined()
    for window in windows:
        chroma.add(window)
        matches = window_matches(
            catalogue, encoder, window, calibration, among, candidates, workers
        )
        votes.append(Vote(window.first, window.end, matches[:_KEPT]))
    seconds = seconds_per_frame(encoder.frontend)
    if not votes:
        return []
    place = _Placing(
        catalogue,
        chroma.whole,
        calibration,
        calibration.unsure if least is None else least,
        max(among, LEAST),
        seconds,
    )
    found = [song for run in runs(votes) for song in place.songs(run)]
    return with_gaps(settled(found), votes[-1].end * seconds)


def window_matches(
    catalogue: Catalogue,
    encoder: Encoder,
    window: Window,
    calibration: Calibration,
    among: int,
    candidates: int | None = None,
    workers: int | None = None,
) -> list[Match]:
    """Identify a window; the most probable match is first, a silent one has none.

    Args:
        catalogue: what to search.
        encoder: the one that made the catalogue.
        window: of a recording or a stream.
        calibration: gives the probabilities.
        among: number of recordings in the catalogue.
        candidates: how many recordings to align it with.
        workers: threads; by default one per core.
    """
    if window.features is None or not window.chroma.any():
        return []
    query = Query("window", window.features, window.chroma)
    try:
        found = align_candidates(
            catalogue, encoder, query, among, candidates or CANDIDATES, workers
        )
    except AudioError:  # nothing to embed
        return []
    return found.matches(calibration)


def runs(votes: Sequence[Vote]) -> list[Run]:
    """Divide a recording among works by what its windows speak for.

    Args:
        votes: of consecutive windows.

    Returns:
        The works in order; what lies between is unknown.
    """
    if not votes:
        return []
    works = sorted({match.recording.work for vote in votes for match in vote.matches})
    number = {work: index for index, work in enumerate(works)}
    evidence = np.full((len(votes), len(works) + 1), -MOST)
    evidence[:, -1] = 0  # the unknown
    best: list[dict[str, Match]] = []
    for row, vote in zip(evidence, votes, strict=True):
        of_work: dict[str, Match] = {}
        for match in vote.matches:
            of_work.setdefault(match.recording.work, match)
        for work, match in of_work.items():
            row[number[work]] = evidence_of(match.probability)
        best.append(of_work)
    path = _likeliest(evidence, _CHANGE)
    found = []
    start = 0
    for end in range(1, len(path) + 1):
        if end < len(path) and path[end] == path[start]:
            continue
        if path[start] < len(works):
            work = works[path[start]]
            matches = [best[i][work] for i in range(start, end) if work in best[i]]
            found.append(Run(work, votes[start].first, votes[end - 1].end, matches))
        start = end
    return found


def evidence_of(probability: float) -> float:
    """Return how far a window speaks for a work with this probability, in log-odds."""
    odds = _log_odds(probability) - _log_odds(_EVEN)
    return min(max(odds, -MOST), MOST)


def settled(songs: Iterable[Song]) -> list[Song]:
    """Return songs in order that overlap no more than a fade.

    Of two that explain the same stretch the less probable one is left out.
    """
    kept: list[Song] = []
    for song in sorted(songs, key=lambda one: -(one.probability or 0)):
        if all(
            _overlap(song, other) <= min(_length(song), _length(other)) / 2
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


def _likeliest(evidence: np.ndarray, change: float) -> list[int]:
    """Return the state of each step: the path of most evidence less what changes cost.

    Args:
        evidence: (steps, states).
        change: cost of a change of state.
    """
    total = evidence[0]
    came = []
    for row in evidence[1:]:
        best = int(total.argmax())
        stays = total >= total[best] - change
        came.append(np.where(stays, np.arange(len(total)), best))
        total = np.where(stays, total, total[best] - change) + row
    path = [int(total.argmax())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    return path[::-1]


class _Joined:
    """The chroma of a whole recording, joined from that of its windows.

    Each frame is taken from the window in whose middle it lies.
    """

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self._window: Window | None = None
        self._reached = 0

    def add(self, window: Window) -> None:
        """Take the next window."""
        if self._window is not None:
            self._take((window.first + self._window.end) // 2)
        self._window = window

    @property
    def whole(self) -> np.ndarray:
        """uint8 (12 * parts, n)."""
        assert self._window is not None
        self._take(self._window.end)
        return np.concatenate(self._parts, axis=1)

    def _take(self, end: int) -> None:
        assert self._window is not None
        first = self._window.first
        self._parts.append(self._window.chroma[:, self._reached - first : end - first])
        self._reached = end


@dataclass(frozen=True)
class _Placing:
    """Says where songs begin and end.

    Attributes:
        catalogue: where their recordings are.
        chroma: uint8 (12 * parts, n), of the whole recording.
        calibration: gives the probabilities.
        least: the least one of a song.
        among: number of recordings in the catalogue.
        seconds: duration of a frame of chroma.
    """

    catalogue: Catalogue
    chroma: np.ndarray
    calibration: Calibration
    least: float
    among: int
    seconds: float

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
            if _length(song) >= _SHORT or (song.probability or 0) >= least
        ]

    def _stretches(
        self, best: Match, reference: np.ndarray, first: int, end: int
    ) -> Iterator[Song]:
        """Yield in order the stretches between two frames that match a recording."""
        if (end - first) * self.seconds < _SHORTEST:
            return
        query = Query("", np.empty((0, 0)), self.chroma[:, first:end])
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
    shorter = min(_length(before), _length(after))
    return other.recording_start < one.recording_start + shorter / 3 and (
        again >= shorter / 2
    )


def _joined_with(before: Song, after: Song) -> Song:
    """Return a song of two stretches, with the match of the longer one."""
    longer = max(before, after, key=_length)
    return Song(before.start, after.end, longer.match)


def _length(song: Song) -> float:
    return song.end - song.start


def _overlap(one: Song, other: Song) -> float:
    return min(one.end, other.end) - max(one.start, other.start)


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return float(np.log(bounded / (1 - bounded)))
