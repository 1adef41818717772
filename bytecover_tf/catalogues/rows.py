"""What a catalogue holds: recordings, and one row for each of their vectors."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from bytecover_tf.catalogues.identifiers import EXPECTED, malformed, work_identifiers
from bytecover_tf.catalogues.packing import pack, unpack
from bytecover_tf.catalogues.tags import TAG_NAMES
from bytecover_tf.files import JsonObject, is_unchanged

_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Recording:
    """One recording and the file it was read from.

    A recording is its content: the same bytes under another name are the same
    recording, and other bytes under the same name are another one.

    Attributes:
        id: sixteen hexadecimal digits of the content hash.
        work: label of the composition; while it has no name, the id of one of its
            recordings.
        title: as the file's tags say, or the file's name.
        artist: as the file's tags say, or empty.
        album: as the file's tags say, or empty.
        path: the file, as an absolute path.
        duration: in seconds, in whole pooled frames.
        content: SHA-256 of the file.
        size: of the file in bytes.
        mtime_ns: when the file was last changed, in nanoseconds.
        composer: as the file's tags or a manifest say, or empty; so are the fields
            below.
        year: of recording or release.
        isrc: identifies the recording; kept as written if it is malformed.
        iswc: identifies the work.
        musicbrainz_recording: id of the recording in MusicBrainz.
        musicbrainz_work: id of the work in MusicBrainz.
        tags_read: version of `read_tags` that found these fields; 0 for a recording
            stored by an older version of this package, which read only title, artist
            and album.
    """

    id: str
    work: str
    title: str
    artist: str
    album: str
    path: str
    duration: float
    content: str
    size: int
    mtime_ns: int
    composer: str = ""
    year: str = ""
    isrc: str = ""
    iswc: str = ""
    musicbrainz_recording: str = ""
    musicbrainz_work: str = ""
    tags_read: int = 0

    @classmethod
    def of_content(cls, content: str, path: str, duration: float) -> Recording:
        """Build a recording about which nothing else is known.

        Args:
            content: SHA-256 of the file; its first digits become id and work.
            path: the file; its name is the title.
            duration: in seconds.
        """
        name = content[:16]
        title = Path(path).stem
        return cls(name, name, title, "", "", path, duration, content, 0, 0)

    @property
    def is_unchanged(self) -> bool:
        """Whether the file still has the same size and time."""
        return is_unchanged(self.path, self.size, self.mtime_ns)

    @property
    def has_named_work(self) -> bool:
        """Whether a person or a manifest named the work."""
        return not _ID.fullmatch(self.work)

    @property
    def label(self) -> str:
        """What a person calls the recording: artist and title."""
        return f"{self.artist} - {self.title}" if self.artist else self.title

    @property
    def work_identifiers(self) -> list[str]:
        """The identifiers of its work; empty if it has none, or several works."""
        return work_identifiers(self.iswc, self.musicbrainz_work)

    @property
    def malformed(self) -> dict[str, list[str]]:
        """The malformed identifiers, by field."""
        found = {kind: malformed(kind, getattr(self, kind)) for kind in EXPECTED}
        return {kind: values for kind, values in found.items() if values}

    @property
    def facts(self) -> dict[str, str]:
        """The fields that tags fill: title, artist, album and so on."""
        return {name: getattr(self, name) for name in TAG_NAMES}

    def to_dict(self) -> JsonObject:
        """Return the recording as a JSON object."""
        return {
            "id": self.id,
            "path": self.path,
            "work": self.work,
            **self.facts,
            "duration": round(self.duration, 2),
            "malformed": sorted(self.malformed),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recording:
        """Build a recording from the columns of a row; others are ignored.

        Columns that an older catalogue lacks stay empty.
        """
        known = {}
        for name in _FIELDS:
            each = values.get(name)
            if each is not None:
                known[name] = each
        return cls(**known)


# Found once, as a large catalogue has a million recordings.
_FIELDS = tuple(field.name for field in fields(Recording))


DIGEST = "digest"
"""The column of digests, which older catalogues lack."""


@dataclass(frozen=True)
class Row:
    """One vector of a recording.

    Attributes:
        recording: whose vector it is.
        segment: 0 for the whole recording, then 1, 2, ... for windows of it.
        start: of the segment in seconds.
        end: of the segment in seconds.
        embedding: float32 (dim,), of unit norm.
        chroma: uint8 (12 * parts, frames), of the whole recording; windows have
            none. A catalogue keeps it in sixteen levels.
        digest: SHA-256 of the row when it was stored; empty if it was never stored, or
            was stored by an older version.
    """

    recording: Recording
    segment: int
    start: float
    end: float
    embedding: np.ndarray
    chroma: np.ndarray | None = None
    digest: str = ""

    @property
    def is_as_stored(self) -> bool:
        """Whether the row still matches its digest."""
        return self.digest in ("", self._digest(self._packed))

    @property
    def key(self) -> str:
        """Unique within a catalogue."""
        return f"{self.recording.id}:{self.segment}"

    def to_dict(self) -> JsonObject:
        """Return the columns that a catalogue stores."""
        packed = self._packed
        return {
            **asdict(self.recording),
            "key": self.key,
            "segment": self.segment,
            "start": self.start,
            "end": self.end,
            "embedding": self.embedding,
            "chroma": packed,
            # A damaged row keeps its digest, and so stays damaged when it is stored
            # again with another work.
            DIGEST: self.digest or self._digest(packed),
        }

    @property
    def _packed(self) -> bytes:
        return b"" if self.chroma is None else pack(self.chroma)

    def _digest(self, packed: bytes) -> str:
        """Return the SHA-256 of what never changes, given the packed chroma."""
        times = map(float, (self.recording.duration, self.start, self.end))
        facts = [self.key, self.recording.content, *times]
        digest = hashlib.sha256(json.dumps(facts).encode())
        digest.update(np.ascontiguousarray(self.embedding, "<f4").tobytes())
        digest.update(packed)
        return digest.hexdigest()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], parts: int = 1) -> Row:
        """Build a row from what `to_dict` returns, with chroma of so many parts."""
        return cls(
            Recording.from_dict(values),
            values["segment"],
            values["start"],
            values["end"],
            np.asarray(values["embedding"], np.float32),
            unpack(values["chroma"], parts) if values["chroma"] else None,
            values.get(DIGEST, ""),
        )


COLUMNS: dict[str, type] = {
    "key": str,
    "id": str,
    "work": str,
    "title": str,
    "artist": str,
    "album": str,
    "path": str,
    "duration": float,
    "content": str,
    "size": int,
    "mtime_ns": int,
    "segment": int,
    "start": float,
    "end": float,
}
"""The columns beside embedding, chroma and digest."""

ADDED_COLUMNS: dict[str, type] = {
    "composer": str,
    "year": str,
    "isrc": str,
    "iswc": str,
    "musicbrainz_recording": str,
    "musicbrainz_work": str,
    "tags_read": int,
}
"""Further columns, which older catalogues lack."""


@dataclass(frozen=True)
class Hit:
    """A segment found by a search.

    Attributes:
        recording: the recording.
        segment: which of its segments; 0 is the whole recording.
        start: of the segment in seconds.
        end: of the segment in seconds.
        similarity: cosine to the query, from -1 to 1.
    """

    recording: Recording
    segment: int
    start: float
    end: float
    similarity: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], similarity: float) -> Hit:
        """Build a hit from a stored row's columns."""
        return cls(
            Recording.from_dict(values),
            values["segment"],
            values["start"],
            values["end"],
            similarity,
        )
