"""What a catalogue is: recordings with embeddings that can be searched.

Two kinds share one behaviour, chosen by the address: a folder holds an embedded
LanceDB table, `milvus://host:port/collection` names a collection on a server.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from bytecover_tf.audio.chroma import PITCH_CLASSES
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.catalogues.recall import Trial
from bytecover_tf.catalogues.rows import Hit, Recording, Row
from bytecover_tf.errors import CatalogueError, DataError
from bytecover_tf.files import Closing, content_hash, is_gone

# Up to this number of rows, a search compares the query with every row.
EXACT_ROWS = 50_000

_GOOD_RECALL = 0.99

# Recordings whose rows are changed together.
_UPDATED_AT_ONCE = 500


class CatalogueMissing(CatalogueError):
    """There is no catalogue at an address."""


@dataclass(frozen=True)
class IndexQuality:
    """The quality of an approximate index.

    Attributes:
        rows: number of rows in the catalogue.
        recall: share of the true ten nearest rows that a search finds.
    """

    rows: int
    recall: float

    @property
    def is_good(self) -> bool:
        """Whether a search finds nearly all of the true ten nearest rows."""
        return self.recall >= _GOOD_RECALL


@dataclass
class Verification:
    """The result of comparing a catalogue with the files.

    Attributes:
        recordings: number in the catalogue.
        missing: paths of recordings whose file is gone.
        unreadable: paths of recordings whose file cannot be read.
        changed: paths of recordings whose file now has other content.
        unindexed: paths of files whose content is not in the catalogue.
        damaged: paths of recordings that lack chroma or a valid embedding of the
            whole, or that have a row which differs from what was stored.
    """

    recordings: int = 0
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unindexed: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether catalogue and files agree."""
        return not (
            self.missing
            or self.unreadable
            or self.changed
            or self.unindexed
            or self.damaged
        )


class Catalogue(Closing):
    """Recordings with their embeddings.

    Use it as a context manager. Several processes may read and write at the same time.
    What a method has written is visible to all of them, and a process that is killed
    leaves only whole recordings behind.

    Attributes:
        address: where the catalogue is.
        identity: which encoder made its embeddings.
    """

    address: str
    identity: Identity

    def add(self, rows: Sequence[Row]) -> None:
        """Add recordings, or replace those that are there already.

        Args:
            rows: all rows of each recording, one recording after the other.

        Raises:
            CatalogueError: an embedding has the wrong shape or norm, a whole
                recording has no chroma, two rows are the same, or the catalogue cannot
                be written.
        """
        keys = {row.key for row in rows}
        if len(keys) < len(rows):
            raise CatalogueError(f"{self.address}: the same row was added twice")
        for row in rows:
            if not self._is_embedding(row.embedding):
                raise CatalogueError(
                    f"{row.recording.path}: expected an embedding of shape "
                    f"({self.identity.dim},) and norm 1"
                )
            if row.segment == 0 and not self._is_chroma(row.chroma):
                rows_of_chroma = PITCH_CLASSES * self.identity.parts
                raise CatalogueError(
                    f"{row.recording.path}: expected a uint8 chroma of shape "
                    f"({rows_of_chroma}, n)"
                )
        if rows:
            self._upsert(rows)

    def update(
        self,
        recordings: Sequence[Recording],
        since: Mapping[str, Recording] | None = None,
    ) -> None:
        """Change facts about recordings, such as work or path.

        Args:
            recordings: each replaces the one with the same id; unknown ids are ignored.
            since: by id, what some of them were when they were read. A work that these
                have been given since stays, unless it is to change.

        Raises:
            CatalogueError: the catalogue cannot be written.
        """
        with self.writing():
            for start in range(0, len(recordings), _UPDATED_AT_ONCE):
                block = recordings[start : start + _UPDATED_AT_ONCE]
                new = {recording.id: recording for recording in block}
                rows = [
                    replace(row, recording=_merged(row.recording, new, since or {}))
                    for row in self.rows(new)
                ]
                if rows:
                    self._upsert(rows)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make other writers wait while this block reads something and changes it.

        Blocks may be nested. On a server nobody waits: the last change counts.
        """
        yield

    def verify(self, paths: Iterable[str] = (), again: bool = False) -> Verification:
        """Compare the catalogue with the files.

        Args:
            paths: absolute paths of files that should be in the catalogue.
            again: whether to read every file, even if its size and time have not
                changed.

        Returns:
            Where the two differ.
        """
        found = Verification()
        recordings: dict[str, Recording] = {}
        whole, damaged = set(), set()
        for row in self.rows():
            recordings[row.recording.id] = row.recording
            if (
                row.segment == 0
                and self._is_embedding(row.embedding)
                and self._is_chroma(row.chroma)
            ):
                whole.add(row.recording.id)
            if not row.is_as_stored:
                damaged.add(row.recording.id)
        whole -= damaged
        found.recordings = len(recordings)
        for recording in recordings.values():
            if recording.id not in whole:
                found.damaged.append(recording.path)
            problems = {
                Place.GONE: found.missing,
                Place.UNREADABLE: found.unreadable,
                Place.CHANGED: found.changed,
            }
            place = place_of(recording, again)
            if place in problems:
                problems[place].append(recording.path)
        known_paths = {recording.path for recording in recordings.values()}
        known_content = {recording.content for recording in recordings.values()}
        found.unindexed = [
            path
            for path in paths
            if path not in known_paths and _content(path) not in known_content
        ]
        return found

    def recall(self, queries: int = 100, top: int = 10) -> float:
        """Return the recall of `search` against comparing with every row.

        Args:
            queries: how many random queries to ask.
            top: how many rows each should find.
        """
        trial = Trial.of(self.vectors, self.identity.dim, queries, top)
        return trial.recall(self.search)

    def _check_queries(self, vectors: np.ndarray) -> np.ndarray:
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.identity.dim:
            raise CatalogueError(
                f"{self.address}: expected queries of shape (n, {self.identity.dim}), "
                f"found {vectors.shape}"
            )
        if not np.isfinite(vectors).all():
            raise CatalogueError(f"{self.address}: a query is not finite")
        return vectors

    def _is_embedding(self, vector: np.ndarray) -> bool:
        return vector.shape == (self.identity.dim,) and bool(
            abs(np.linalg.norm(vector) - 1) < 1e-3
        )

    def _is_chroma(self, chroma: np.ndarray | None) -> bool:
        return (
            chroma is not None
            and chroma.dtype == np.uint8
            and chroma.ndim == 2
            and len(chroma) == PITCH_CLASSES * self.identity.parts
            and chroma.shape[1] > 0
        )

    @abstractmethod
    def make_room(self) -> bool:
        """Add the columns that a catalogue of an older version lacks.

        Returns:
            Whether all columns exist now. Servers before Milvus 2.6 cannot add any.
        """

    @abstractmethod
    def remove(self, ids: Sequence[str]) -> None:
        """Remove recordings; unknown ids are ignored."""

    @abstractmethod
    def count(self) -> int:
        """Return the number of recordings."""

    @abstractmethod
    def recordings(self) -> Iterator[Recording]:
        """Yield every recording, in no particular order."""

    @abstractmethod
    def rows(self, ids: Iterable[str] | None = None) -> Iterator[Row]:
        """Yield the rows of the recordings with these ids, by default of all."""

    @abstractmethod
    def vectors(self) -> Iterator[np.ndarray]:
        """Yield every embedding, in blocks (n, dim) in no particular order."""

    @abstractmethod
    def chroma(self, ids: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the chroma (12 * parts, frames) of recordings by id.

        Args:
            ids: unknown ones are ignored.
        """

    @abstractmethod
    def search(self, vectors: np.ndarray, top: int = 10) -> list[list[Hit]]:
        """Return the rows nearest to each query.

        Args:
            vectors: float array (queries, dim) of unit norm, made by the encoder of
                `identity`.
            top: how many rows to return for each.

        Returns:
            For each query at most `top` hits, the most similar first.

        Raises:
            CatalogueError: the vectors have another shape.
        """

    @abstractmethod
    def optimize(self, exact_rows: int = EXACT_ROWS) -> IndexQuality | None:
        """Tidy the storage after many changes, and index many rows.

        Args:
            exact_rows: up to this number of rows, a search compares the query with all
                of them; for more, an approximate index is built or brought up to date.

        Returns:
            The quality of the approximate index, or None if there is no such index.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what the catalogue holds open."""

    @abstractmethod
    def _upsert(self, rows: Sequence[Row]) -> None:
        """Store rows with distinct keys; they replace rows with the same keys."""


class Place(Enum):
    """What is now at the path that a recording was read from."""

    SAME = "its content"
    CHANGED = "other content"
    UNREADABLE = "nothing that can be read"
    GONE = "nothing"


def place_of(recording: Recording, again: bool = False) -> Place:
    """Tell what is now at the path that a recording was read from.

    Args:
        recording: of a catalogue.
        again: whether to read a file even if its size and time have not changed.
    """
    if not again and recording.is_unchanged:
        return Place.SAME
    content = _content(recording.path)
    if content is None:
        if is_gone(recording.path):
            return Place.GONE
        is_other = os.path.exists(recording.path) and not os.path.isfile(recording.path)
        return Place.CHANGED if is_other else Place.UNREADABLE
    return Place.SAME if content == recording.content else Place.CHANGED


def check_in_place(recording: Recording) -> None:
    """Check that no other file has the path of a recording.

    Raises:
        DataError: another has.
    """
    if place_of(recording) is Place.CHANGED:
        raise DataError(
            f"{recording.path}: is not what the catalogue knows of it; index it again"
        )


def _content(path: str) -> str | None:
    """Return the content hash of a file, or None if there is none to be read."""
    # Reading from a pipe would wait for ever.
    if not os.path.isfile(path):
        return None
    try:
        return content_hash(path)
    except OSError:
        return None


def _merged(
    now: Recording, new: Mapping[str, Recording], since: Mapping[str, Recording]
) -> Recording:
    """Return what takes the place of a recording, with the work of the later change."""
    changed, before = new[now.id], since.get(now.id)
    if before is not None and changed.work == before.work:
        return replace(changed, work=now.work)
    return changed
