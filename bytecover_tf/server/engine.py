"""The work that a process of the pool does for requests."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TypedDict

import numpy as np

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.decoding import iter_audio
from bytecover_tf.audio.hearing import Hearing
from bytecover_tf.catalogues.finding import find_files
from bytecover_tf.catalogues.indexing import index_files
from bytecover_tf.catalogues.opening import open_with_encoder
from bytecover_tf.errors import AudioError, CatalogueError
from bytecover_tf.files import JsonObject
from bytecover_tf.matching.alignment import align
from bytecover_tf.matching.calibration import calibration_for
from bytecover_tf.matching.decisions import Record, find_record
from bytecover_tf.matching.grouping import find_groups
from bytecover_tf.matching.identification import (
    Match,
    Query,
    align_hits,
    candidates_of,
    compare,
)
from bytecover_tf.matching.kept_alignments import KeptAlignments
from bytecover_tf.matching.merging import act_on
from bytecover_tf.matching.picture import matched_frames, similarities

Emit = Callable[[JsonObject], None]

# Candidates that are compared between two looks at the matches so far.
_AT_ONCE = 20
# A picture has at most so many rows and columns, and a path as many points.
_PIXELS = 240
_POINTS = 120
# Points of a waveform, and the rate at which it is read.
_PEAKS, _PEAK_RATE = 1200, 8000


class Answered(TypedDict):
    """What was found for a request.

    Attributes:
        answer: goes to who asked.
        chroma: of the recordings that were sent, to draw pictures of.
    """

    answer: JsonObject
    chroma: list[np.ndarray]


@dataclass(frozen=True)
class EngineSettings:
    """What an engine is made of; small to send to a process.

    Attributes:
        address: of the catalogue.
        encoder: what `load_encoder` takes; None for the one of the catalogue.
        calibration: a file; None for what `calibration_for` finds.
        record: what keeps decisions about works; None for the catalogue's folder.
        threads: that one request may use.
        hearing: the network that heard the notes; None for where it was.
    """

    address: str
    encoder: str | None = None
    calibration: str | None = None
    record: Path | None = None
    threads: int = 1
    hearing: Hearing | None = None

    def __call__(self) -> Engine:
        """Return the engine.

        Raises:
            ByteCoverError: the catalogue or the encoder cannot be opened.
        """
        return Engine(self)


class Engine:
    """Identifies, compares and indexes by one catalogue.

    Each public method is a kind of task. It takes first a function that it calls with
    what it has so far.

    Args:
        settings: what to open.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._threads = settings.threads
        self._catalogue, self._encoder = open_with_encoder(
            settings.address, settings.encoder, settings.hearing
        )
        identity = self._catalogue.identity
        self._hearing = identity.load_hearing(settings.address)
        self._calibration = calibration_for(
            identity, settings.calibration, settings.encoder
        )
        self._frame_seconds = seconds_per_frame(identity.frontend)
        # Its loops are compiled or loaded now and not in the first request.
        align(*np.zeros((2, 12 * identity.parts, 8), np.uint8))

    def identify(self, emit: Emit, path: str, name: str, top: int) -> Answered:
        """Identify a file; emit the best matches so far.

        Args:
            emit: takes `stage`, and of the stage `compare` also `done`, `of` and
                `matches`.
            path: the file.
            name: what answer and errors call it.
            top: how many matches to return.
        """
        emit({"stage": "read"})
        query = self._read(path, name)
        emit({"stage": "search"})
        hits = candidates_of(self._catalogue, self._encoder, query)
        among = self._catalogue.count()
        matches: list[Match] = []
        for start in range(0, len(hits), _AT_ONCE):
            part = hits[start : start + _AT_ONCE]
            found = align_hits(self._catalogue, query, part, among, self._threads)
            matches += found.matches(self._calibration)
            matches.sort(key=lambda one: (-one.probability, -one.similarity))
            emit(
                {
                    "stage": "compare",
                    "done": start + len(part),
                    "of": len(hits),
                    "matches": [self._match(match) for match in matches[:top]],
                }
            )
        best = matches[0].probability if matches else 0.0
        return {
            "answer": {
                "query": name,
                "duration": round(query.chroma.shape[1] * self._frame_seconds, 1),
                "verdict": self._calibration.verdict(best),
                "matches": [self._match(match) for match in matches[:top]],
            },
            "chroma": [query.chroma],
        }

    def compare(
        self, emit: Emit, paths: tuple[str, str], names: tuple[str, str]
    ) -> Answered:
        """Compare two files.

        Args:
            emit: takes `stage`.
            paths: the files.
            names: what answer and errors call them.
        """
        queries = []
        for path, name in zip(paths, names, strict=True):
            emit({"stage": "read", "name": name})
            queries.append(self._read(path, name))
        emit({"stage": "compare"})
        first, second = queries
        compared = compare(first, second, self._encoder)
        (match,) = compared.matches(self._calibration)
        facts = match.to_dict()
        for unknown in ("work", "id", "title", "artist"):
            del facts[unknown]
        return {
            "answer": {
                "query": first.name,
                **facts,
                "verdict": self._calibration.verdict(match.probability),
                "seconds": self._seconds(first.chroma, second.chroma),
            },
            "chroma": [first.chroma, second.chroma],
        }

    def picture(
        self, emit: Emit, first: np.ndarray | str, second: np.ndarray | str
    ) -> JsonObject:
        """Show where two recordings match.

        Args:
            emit: not called.
            first: chroma, or the id of a recording in the catalogue.
            second: the same of the second recording.

        Returns:
            `width` and `height` of a picture with the time of the first to the right
            and of the second downwards, `pixels` (base64, a byte each: how alike),
            `seconds` of both, and `path`: pairs of times that match.
        """
        one, other = self._chroma(first), self._chroma(second)
        alignment = align(one, other)
        similarity = similarities(one, other, alignment.transposition)
        for axis in (0, 1):
            step = ceil(similarity.shape[axis] / _PIXELS)
            starts = np.arange(0, similarity.shape[axis], step)
            similarity = np.maximum.reduceat(similarity, starts, axis)
        pixels = (255 * similarity.clip(0, 1)).astype(np.uint8).T
        path = np.empty((0, 2))
        if alignment.query_end > alignment.query_start:
            frames = matched_frames(one, other, alignment)
            path = frames[:: ceil(len(frames) / _POINTS)] * self._frame_seconds
        return {
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "pixels": base64.b64encode(pixels.tobytes()).decode(),
            "seconds": self._seconds(one, other),
            "transposition": alignment.transposition,
            "path": path.round(2).tolist(),
        }

    def _seconds(self, *chromas: np.ndarray) -> list[float]:
        return [chroma.shape[1] * self._frame_seconds for chroma in chromas]

    def peaks(self, emit: Emit, path: str) -> list[float]:
        """Return the outline of a file's waveform, 0 to 1.

        Args:
            emit: not called.
            path: the file.
        """
        # Twenty points a second are kept, which stay few for any length.
        block = _PEAK_RATE // 20
        loud: list[np.ndarray] = []
        rest = np.empty(0, np.float32)
        for samples in iter_audio(path, _PEAK_RATE, allow_truncated=True):
            rest = np.concatenate([rest, samples])
            whole = len(rest) // block * block
            loud.append(np.abs(rest[:whole]).reshape(-1, block).max(axis=1))
            rest = rest[whole:]
        levels = np.concatenate([*loud, np.abs(rest).max(initial=0)[None]])
        starts = np.arange(0, len(levels), ceil(len(levels) / _PEAKS))
        peaks = np.maximum.reduceat(levels, starts)
        return [round(peak, 3) for peak in (peaks / max(peaks.max(), 1e-9)).tolist()]

    def setlist(self, emit: Emit, path: str, name: str) -> JsonObject:
        """Tell which works a long recording plays, and when.

        Args:
            emit: takes `done` and `of`, in seconds; `of` is 0 if it is not known.
            path: the file.
            name: what errors call it.
        """
        from bytecover_tf.matching.setlist import timeline

        seconds = 0.0

        def progress(done: float, of: float) -> None:
            nonlocal seconds
            seconds = done
            emit({"done": round(done), "of": round(of)})

        with _renamed(path, name):
            songs = timeline(
                self._catalogue,
                self._encoder,
                path,
                self._calibration,
                workers=self._threads,
                allow_truncated=True,
                progress=progress,
            )
        return {
            "query": name,
            "duration": round(seconds, 1),
            "songs": [
                {**song.to_dict(), **(self._match(song.match) if song.match else {})}
                for song in songs
            ],
        }

    def group(self, emit: Emit, threshold: float, merge: bool) -> dict[str, int]:
        """Look for versions inside the catalogue; put what is unsure into the queue.

        Args:
            emit: takes `done` and `of`.
            threshold: two recordings are linked from this probability on.
            merge: whether to give the recordings of a group the same work.

        Raises:
            ConfigError: there is nothing to keep decisions in.
        """
        record = Record(self._catalogue, self._settings.record)
        with KeptAlignments.of(self._catalogue.address, record) as kept:
            found = find_groups(
                self._catalogue,
                self._calibration,
                threshold,
                workers=self._threads,
                verdicts=record.verdicts(),
                kept=kept,
                tell=lambda done, of: emit({"done": done, "of": of}),
            )
        done = act_on(self._catalogue, found, record, merge)
        return {
            "groups": len(found.groups),
            "changed": done.changed,
            "questions": done.questions,
        }

    def index(self, emit: Emit, paths: list[str]) -> JsonObject:
        """Add files, or all files of folders, to the catalogue.

        Args:
            emit: takes `done` and `of`.
            paths: files and folders.
        """
        files = find_files(paths)
        report = index_files(
            self._catalogue,
            lambda: self._encoder,
            files.paths,
            workers=self._threads,
            tell=lambda done, of: emit({"done": done, "of": of}),
            decisions=find_record(self._catalogue, self._settings.record),
        )
        self._catalogue.optimize()
        counts = ("added", "changed", "moved", "renamed", "retagged", "present")
        unread = {
            str(path): f"{path}: {why}" for path, why in files.found.unreadable.items()
        }
        return {
            **{name: getattr(report, name) for name in counts},
            "copies": report.copies,
            "failed": {
                _readable(path): _readable(why)
                for path, why in {**unread, **report.failed}.items()
            },
        }

    def _read(self, path: str, name: str) -> Query:
        with _renamed(path, name):
            query = Query.read(
                path, self._encoder.frontend, self._hearing, allow_truncated=True
            )
        return replace(query, name=name)

    def _match(self, match: Match) -> JsonObject:
        return {
            **match.to_dict(),
            "label": match.recording.label,
            "duration": round(match.recording.duration, 1),
            "is_named": match.recording.has_named_work,
            "verdict": self._calibration.verdict(match.probability),
        }

    def _chroma(self, one: np.ndarray | str) -> np.ndarray:
        if not isinstance(one, str):
            return one
        found = self._catalogue.chroma([one])
        if one not in found:
            raise CatalogueError(f"{one}: there is no such recording")
        return found[one]


def _readable(text: str) -> str:
    """Return a text that JSON can hold, whatever bytes a file's name has."""
    return text.encode(errors="backslashreplace").decode()


@contextmanager
def _renamed(path: str, name: str) -> Iterator[None]:
    """Call a file in errors by the name that its owner knows."""
    try:
        yield
    except AudioError as error:
        raise AudioError(str(error).replace(path, name)) from None
