"""The timeline of a long recording: which work is played from when to when.

A concert, the set of a DJ, a broadcast or an album in one file is read by windows in
bounded memory. Each window is a query: its candidates are aligned and get a
probability. The windows vote on the works (`voting`), and a second alignment says where
each song begins and ends (`placing`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.decoding import declared_duration, iter_audio
from bytecover_tf.audio.windows import Window, iter_windows
from bytecover_tf.catalogues.tags import read_tags
from bytecover_tf.errors import AudioError
from bytecover_tf.files import content_hash
from bytecover_tf.matching.calibration import LEAST, Calibration, calibration_for
from bytecover_tf.matching.identification import Match, Query, align_candidates
from bytecover_tf.matching.placing import Placing
from bytecover_tf.matching.songs import Song, settled, with_gaps
from bytecover_tf.matching.voting import Vote, runs

if TYPE_CHECKING:
    from bytecover_tf.catalogues.catalogue import Catalogue
    from bytecover_tf.encoders.encoder import Encoder

WINDOW_SECONDS, HOP_SECONDS = 60.0, 15.0
CANDIDATES = 50
"""How many recordings each window is aligned with."""

# Of each window the best matches are kept.
_KEPT = 20


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

    is_file = Path(path).is_file()
    songs = timeline_of_windows(
        catalogue,
        encoder,
        counted(),
        calibration,
        least,
        candidates,
        workers,
        read_tags(path).artist if is_file else "",
        _own_content(catalogue, path) if is_file else "",
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
    artist: str = "",
    content: str = "",
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
        artist: as the tags of the recording name it; empty if they do not.
        content: SHA-256 of the recording's file. If the catalogue holds it too, it is
            none of the songs that it plays.
    """
    among = catalogue.count()
    votes: list[Vote] = []
    chroma = _Joined()
    for window in windows:
        chroma.add(window)
        matches = window_matches(
            catalogue, encoder, window, calibration, among, candidates, workers
        )
        others = [one for one in matches if one.recording.content != content]
        votes.append(Vote(window.first, window.end, others[:_KEPT]))
    seconds = seconds_per_frame(encoder.frontend)
    if not votes:
        return []
    place = Placing(
        catalogue,
        chroma.whole,
        calibration,
        calibration.unsure if least is None else least,
        max(among, LEAST),
        seconds,
        artist,
    )
    found = [song for run in runs(votes) for song in place.songs(run)]
    return with_gaps(settled(found), votes[-1].end * seconds)


def _own_content(catalogue: Catalogue, path: str | Path) -> str:
    """Return the content hash of a file, if a catalogue may hold it; else nothing."""
    size = os.path.getsize(path)
    may_hold = any(recording.size == size for recording in catalogue.recordings())
    return content_hash(path) if may_hold else ""


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
    query = Query("window", window.features, window.chroma, heard=window.heard)
    try:
        found = align_candidates(
            catalogue, encoder, query, among, candidates or CANDIDATES, workers
        )
    except AudioError:  # nothing to embed
        return []
    return found.matches(calibration)


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
