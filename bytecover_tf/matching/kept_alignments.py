"""Alignments of a library's recordings with one another, kept from run to run.

To align all recordings of a large library takes hours, and an alignment of two stays
what it is when others are added. So `group` keeps each: a run that was interrupted
continues, and a later one aligns only what is new. What a coarse look has put aside
among other candidates stays aside.

Recordings are known by their chroma, and so are files that were moved or retagged. Of a
pair one alignment is kept, whichever of the two was the query.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np

from bytecover_tf.files import Closing
from bytecover_tf.matching.alignment import Alignment
from bytecover_tf.matching.decisions import Record
from bytecover_tf.matching.screening import align_likely
from bytecover_tf.terminal import warn

FILE_NAME = "alignments.sqlite"
"""In a catalogue's folder, the alignments."""

# Raise it when alignments or their screening change: what was kept is forgotten then.
_FORMAT = 1
# Seconds to wait for another process that writes.
_PATIENCE = 60.0
_DIGITS = 8
_COLUMNS = ", ".join(field.name for field in fields(Alignment))
_TABLE = f"""
CREATE TABLE IF NOT EXISTS alignments
    (one BLOB, other BLOB, {_COLUMNS}, PRIMARY KEY (one, other)) WITHOUT ROWID
"""

_Pair = tuple[bytes, bytes]


class KeptAlignments(Closing):
    """The alignments in a file.

    What cannot be read is aligned anew, and what cannot be written is not kept; a
    warning says so once.

    Args:
        path: the file, made if there is none; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: set[bytes] = set()
        self._has_warned = False
        self._file: sqlite3.Connection | None = None
        if path is not None:
            self._file = self._open(path)

    @classmethod
    def of(cls, address: str, record: Record | None) -> KeptAlignments:
        """Open those of a catalogue.

        Args:
            address: of the catalogue; its folder holds them.
            record: the decisions about it. They lie beside it if the catalogue is on a
                server, and are not kept without it.
        """
        folder = Path(address)
        if folder.is_dir():
            return cls(folder / FILE_NAME)
        if record is None:
            return cls(None)
        return cls(record.path.with_name(f"{record.path.stem}-{FILE_NAME}"))

    def align(
        self,
        query: np.ndarray,
        references: Sequence[np.ndarray],
        similarity: np.ndarray,
        workers: int | None = None,
        later: np.ndarray | None = None,
    ) -> list[Alignment]:
        """Align as `align_likely` does, but only what was not aligned before.

        The alignments of a clip, which has a `later`, are not kept.
        """
        if self._file is None or later is not None:
            return align_likely(query, references, similarity, workers, later)
        key = _digest(query)
        self._seen.add(key)
        pairs = [(key, _digest(reference)) for reference in references]
        known = self._read(pairs)
        new = [number for number, pair in enumerate(pairs) if pair not in known]
        if new:
            chosen = [references[number] for number in new]
            found = align_likely(query, chosen, similarity[new], workers)
            made = dict(zip([pairs[number] for number in new], found, strict=True))
            self._write(made)
            known |= made
        return [known[pair] for pair in pairs]

    def forget_others(self) -> None:
        """Forget recordings that were no query since the file was opened."""
        if self._file is None:
            return
        seen = [(one,) for one in self._seen]
        try:
            with self._file, closing(self._file.cursor()) as cursor:
                cursor.execute("CREATE TEMP TABLE seen (name BLOB PRIMARY KEY)")
                cursor.executemany("INSERT INTO seen VALUES (?)", seen)
                cursor.execute(
                    "DELETE FROM alignments WHERE one NOT IN seen OR other NOT IN seen"
                )
                cursor.execute("DROP TABLE seen")
        except sqlite3.Error as error:
            self._warn(error)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, path: Path) -> sqlite3.Connection | None:
        try:
            return _connect(path)
        except sqlite3.OperationalError as error:
            self._warn(error)
        except sqlite3.DatabaseError as error:  # it is something else
            return self._begin_anew(path, error)
        return None

    def _begin_anew(self, path: Path, why: sqlite3.Error) -> sqlite3.Connection | None:
        self.close()
        try:
            path.unlink()
            file = _connect(path)
        except (OSError, sqlite3.Error) as error:
            self._warn(f"{why}; it cannot be begun anew: {error}")
            return None
        self._warn(f"{why}; begun anew")
        return file

    def _read(self, pairs: Iterable[_Pair]) -> dict[_Pair, Alignment]:
        """Return those of the pairs that are known."""
        assert self._file is not None
        known = {}
        select = f"SELECT {_COLUMNS} FROM alignments WHERE one = ? AND other = ?"
        try:
            with closing(self._file.cursor()) as cursor:
                for pair in pairs:
                    row = cursor.execute(select, sorted(pair)).fetchone()
                    if row is not None:
                        known[pair] = _turned(pair, Alignment(*row))
        except sqlite3.OperationalError as error:
            self._warn(error)
        except sqlite3.DatabaseError as error:  # it is damaged
            assert self._path is not None
            self._file = self._begin_anew(self._path, error)
        return known

    def _write(self, made: dict[_Pair, Alignment]) -> None:
        if self._file is None:  # it could not be begun anew
            return
        rows = [
            (*sorted(pair), *astuple(_turned(pair, alignment)))
            for pair, alignment in made.items()
        ]
        places = ", ".join("?" * len(rows[0]))
        try:
            with self._file:
                self._file.executemany(
                    f"INSERT OR REPLACE INTO alignments VALUES ({places})", rows
                )
        except sqlite3.Error as error:
            self._warn(error)

    def _warn(self, why: object) -> None:
        if not self._has_warned:
            warn(f"{self._path}: alignments are not kept: {why}")
        self._has_warned = True


def _connect(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(str(path), timeout=_PATIENCE)
    try:
        (found,) = file.execute("PRAGMA user_version").fetchone()
        if found != _FORMAT:
            with file:
                file.execute("DROP TABLE IF EXISTS alignments")
                file.execute(_TABLE)
                file.execute(f"PRAGMA user_version = {_FORMAT}")
    except BaseException:
        file.close()
        raise
    return file


def _turned(pair: _Pair, alignment: Alignment) -> Alignment:
    """Turn from the order of a pair to that of the file, or back."""
    return alignment if pair == tuple(sorted(pair)) else alignment.reversed


def _digest(chroma: np.ndarray) -> bytes:
    """Return a digest of chroma (12 * parts, n)."""
    digest = hashlib.blake2b(str(chroma.shape).encode(), digest_size=_DIGITS)
    digest.update(chroma.tobytes())
    return digest.digest()
