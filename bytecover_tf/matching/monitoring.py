"""Follow a stream: tell when the song changes.

The windows of the stream are identified as those of a long recording are
(`matching.setlist`), and vote in the same way but for the future, which is not known
yet: at each window the work is the one in which the likeliest path so far ends.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.windows import iter_windows
from bytecover_tf.files import JsonObject
from bytecover_tf.matching.setlist import window_matches
from bytecover_tf.matching.voting import MOST, evidence_of

if TYPE_CHECKING:
    from bytecover_tf.catalogues.catalogue import Catalogue
    from bytecover_tf.encoders.encoder import Encoder
    from bytecover_tf.matching.calibration import Calibration
    from bytecover_tf.matching.identification import Match

# Shorter than those of a file, for the sake of the delay.
WINDOW_SECONDS, HOP_SECONDS = 30.0, 5.0
# Windows follow more closely than there, so one that is unsure must change nothing.
CHANGE = 5.0
LEAST = 0.5
"""The least probability at which a song is told."""

# Frames of the transform that are computed together: five seconds.
_CHUNK_FRAMES = 220


@dataclass(frozen=True)
class Change:
    """A song begins, or what is played is unknown.

    Attributes:
        start: seconds of the stream where it began, as far as that can be told.
        at: seconds of the stream that had been heard when it was told.
        match: the recording, and where the last window matches it; None if unknown.
    """

    start: float
    at: float
    match: Match | None

    def to_dict(self) -> JsonObject:
        """Return the change as a JSON object, with the time of day."""
        now = datetime.datetime.now(datetime.timezone.utc)
        facts: JsonObject = {
            "time": now.isoformat(timespec="seconds"),
            "start": round(self.start, 2),
            "at": round(self.at, 2),
            "work": None,
            "probability": None,
        }
        return facts | (self.match.to_dict() if self.match else {})


@dataclass
class Tracker:
    """What is played now, by what the windows have said so far.

    Attributes:
        work: None while it is unknown.
    """

    work: str | None = None
    # How far each path that is not the best lies behind that; all others lie as far
    # behind as a change costs.
    _behind: dict[str | None, float] = field(default_factory=lambda: {None: 0.0})

    def hear(self, matches: Sequence[Match]) -> str | None:
        """Take what a window matches, the most probable first; return the work."""
        speaks: dict[str | None, float] = {None: 0.0}
        for match in matches:
            speaks.setdefault(match.recording.work, evidence_of(match.probability))
        total = {
            work: self._behind.get(work, -CHANGE) + speaks.get(work, -MOST)
            for work in {*speaks, *self._behind}
        }
        best = max(total, key=lambda work: (total[work], work == self.work))
        self._behind = {
            work: value - total[best]
            for work, value in total.items()
            if value - total[best] > -CHANGE
        }
        self.work = best
        return best


def changes(
    catalogue: Catalogue,
    encoder: Encoder,
    blocks: Iterable[np.ndarray],
    calibration: Calibration,
    candidates: int | None = None,
    workers: int | None = None,
) -> Iterator[Change]:
    """Follow a stream.

    Args:
        catalogue: what to search.
        encoder: the one that made the catalogue.
        blocks: samples as they come, float32 (n,) each, at the frontend's rate.
        calibration: gives the probabilities.
        candidates: how many recordings to align each window with.
        workers: threads; by default one per core.

    Yields:
        A change whenever another work is played, or none that is known. The first is
        told as soon as the first window is heard.

    Raises:
        CatalogueError: the catalogue cannot be read, or the network that heard its
            notes is gone.
    """
    identity = catalogue.identity
    hearing = identity.load_hearing(catalogue.address)
    frontend = encoder.frontend
    seconds = seconds_per_frame(frontend)
    heard = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal heard
        for block in blocks:
            heard += len(block)
            yield block

    windows = iter_windows(
        counted(), frontend, hearing, WINDOW_SECONDS, HOP_SECONDS, _CHUNK_FRAMES
    )
    tracker = Tracker()
    told: str | None = None
    is_first = True
    among = catalogue.count()
    for window in windows:
        matches = window_matches(
            catalogue, encoder, window, calibration, among, candidates, workers
        )
        work = tracker.hear(matches)
        if work == told and not is_first:
            continue
        match = next((one for one in matches if one.recording.work == work), None)
        if work is not None and (match is None or match.probability < LEAST):
            continue  # until a window is surer
        told, is_first = work, False
        start = window.first * seconds
        if match:
            start += match.query_start
        yield Change(start, heard / frontend.sample_rate, match)
