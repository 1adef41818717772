"""Alignments of a library's recordings with one another, kept from run to run.

To align all recordings of a large library takes hours, and no alignment changes when
others are added. So `group` keeps each; one that was interrupted continues, and a later
one aligns only what is new. Recordings are known by their chroma, so moved and retagged
files are known again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from typing import TypeVar

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
_DIGITS = 8
# A reference's digest, and the fields of its `Alignment`.
_ALIGNED = np.dtype(
    [
        ("reference", f"V{_DIGITS}"),
        ("score", "<f8"),
        ("transposition", "<i4"),
        ("query_start", "<i4"),
        ("query_end", "<i4"),
        ("reference_start", "<i4"),
        ("reference_end", "<i4"),
    ]
)

_Result = TypeVar("_Result")


class KeptAlignments(Closing):
    """The alignments in a file.

    If the file cannot be read or written, a warning says so once, and all is aligned
    anew.

    Args:
        path: the file, made if there is none; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: set[bytes] = set()
        self._file: sqlite3.Connection | None = None
        if path is not None:
            self._try(self._open, None)

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
        """Align as `align_likely` does, but only what was not aligned before."""
        key = _digest(query) + (b"" if later is None else _digest(later))
        self._seen.add(key)
        names = [_digest(reference) for reference in references]
        known: dict[bytes, Alignment] = self._try(lambda: self._read(key), {})
        new = [number for number, name in enumerate(names) if name not in known]
        if new:
            chosen = [references[number] for number in new]
            found = align_likely(query, chosen, similarity[new], workers, later)
            known |= zip([names[number] for number in new], found, strict=True)
            self._try(lambda: self._write(key, known), None)
        return [known[name] for name in names]

    def forget_others(self) -> None:
        """Forget the queries that have not been aligned since the file was opened."""
        self._try(self._forget, None)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        self._file = sqlite3.connect(str(self._path))
        (found,) = self._file.execute("PRAGMA user_version").fetchone()
        with self._file:
            if found != _FORMAT:
                self._file.execute("DROP TABLE IF EXISTS alignments")
                self._file.execute(f"PRAGMA user_version = {_FORMAT}")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS alignments"
                " (query BLOB PRIMARY KEY, aligned BLOB NOT NULL)"
            )

    def _read(self, key: bytes) -> dict[bytes, Alignment]:
        if self._file is None:
            return {}
        found = self._file.execute(
            "SELECT aligned FROM alignments WHERE query = ?", (key,)
        ).fetchone()
        if found is None:
            return {}
        rows = np.frombuffer(zlib.decompress(found[0]), _ALIGNED).tolist()
        return {bytes(name): Alignment(*fields) for name, *fields in rows}

    def _write(self, key: bytes, known: Mapping[bytes, Alignment]) -> None:
        if self._file is None:
            return
        rows = [(name, *astuple(found)) for name, found in known.items()]
        packed = zlib.compress(np.array(rows, _ALIGNED).tobytes(), 1)
        with self._file:
            self._file.execute(
                "INSERT OR REPLACE INTO alignments VALUES (?, ?)", (key, packed)
            )

    def _forget(self) -> None:
        if self._file is None:
            return
        with self._file, closing(self._file.cursor()) as cursor:
            kept = {key for (key,) in cursor.execute("SELECT query FROM alignments")}
            gone = [(key,) for key in kept - self._seen]
            cursor.executemany("DELETE FROM alignments WHERE query = ?", gone)

    def _try(self, act: Callable[[], _Result], otherwise: _Result) -> _Result:
        try:
            return act()
        except (sqlite3.Error, zlib.error, ValueError) as error:
            warn(f"alignments are not kept: {self._path}: {error}")
            self.close()
            return otherwise


def _digest(chroma: np.ndarray) -> bytes:
    """Return digits that change with chroma (12 * parts, n)."""
    digest = hashlib.blake2b(str(chroma.shape).encode(), digest_size=_DIGITS)
    digest.update(chroma.tobytes())
    return digest.digest()
