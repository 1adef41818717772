"""Features of a whole data set in one folder, read by memory mapping.

    store.json      format version and the frontend
    features.f16    float16 rows of n_bins values, one row a pooled frame, all
                    recordings one after the other
    index.jsonl     one line a recording: where it came from, the SHA-256 of that
                    file, which rows are its own, and their SHA-256

A store that comes with a package has `features.f16.xz` in place of `features.f16`. It
is read into memory as a whole, and nothing can be added to it.

A crop in time is one contiguous read. Data is on disk before the line that names it, so
a writer killed at any moment leaves a valid store. The next writer drops an unfinished
line, and writes behind rows that no line names.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import ConfigError, StoreError
from bytecover_tf.files import (
    Closing,
    JsonObject,
    flush,
    json_object,
    lock,
    naming,
    write_atomically,
)
from bytecover_tf.stores.compressed import compress_rows, decompress_rows

_FORMAT = 1
_COMPRESSED = "features.f16.xz"
# How every line of the index begins.
_LINE_START = b'{"source": "'
# A killed writer may leave rows without a line, of a recording up to this long in
# seconds.
_LONGEST = 4 * 3600.0


@dataclass(frozen=True)
class Entry:
    """Where one recording's features lie.

    Attributes:
        source: the file that was read, as an absolute path.
        key: SHA-256 of its content.
        size: its size in bytes, or None if there was no file.
        mtime_ns: when it was last changed, in nanoseconds, or None.
        start: first row in `features.f16`.
        frames: number of rows.
        digest: SHA-256 of these rows; empty if an older version stored them.
        source_pool: how many frames a column of the file averages, if it holds a
            transform.
    """

    source: str
    key: str
    size: int | None
    mtime_ns: int | None
    start: int
    frames: int
    digest: str = ""
    source_pool: int = 1


class FeatureStore:
    """Read access to the features of many recordings.

    Args:
        path: a folder made by `FeatureStoreWriter`.

    Attributes:
        frontend: the parameters that made the features.

    Raises:
        StoreError: the folder is not a feature store, or is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.frontend = _read_header(self.path)
        entries, _ = _read_index(self.path)
        self._by_source = {entry.source: entry for entry in entries}
        self._by_key = {entry.key: entry for entry in entries}
        self._rows = _open_rows(self.path, self.frontend.n_bins)
        end = max((entry.start + entry.frames for entry in entries), default=0)
        if len(self._rows) < end:
            raise StoreError(
                f"{self.path}: the index names {end} frames, found {len(self._rows)}"
            )

    def __len__(self) -> int:
        """Return the number of sources."""
        return len(self._by_source)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._by_source.values())

    @property
    def stored(self) -> list[Entry]:
        """All that has features here, also content that no source has any more.

        Some come twice. Two sources of one content may have features of their own.
        """
        return [*self._by_key.values(), *self]

    def find(self, source: str | Path) -> Entry | None:
        """Return the entry of a file, or None if the store does not have it."""
        return self._by_source.get(str(source)) or self._by_source.get(
            os.path.abspath(source)
        )

    def entry(self, source: str | Path) -> Entry:
        """Return the entry of a file.

        Raises:
            StoreError: the store does not have it.
        """
        found = self.find(source)
        if found is None:
            raise StoreError(f"{self.path}: has no features of {source}")
        return found

    def content(self, sources: Iterable[str]) -> dict[str, str]:
        """Return the SHA-256 of each file's content, by its name.

        Raises:
            StoreError: the store does not have a file.
        """
        return {source: self.entry(source).key for source in sources}

    def rows(
        self, entry: Entry, start: int = 0, count: int | None = None
    ) -> np.ndarray:
        """Return a crop as it lies on disk.

        Args:
            entry: the recording.
            start: first frame of the crop.
            count: number of frames, by default all that follow.

        Returns:
            float16 view (count, n_bins); shorter where the recording ends.

        Raises:
            StoreError: what lies there is not finite.
        """
        stop = entry.frames if count is None else min(start + count, entry.frames)
        rows = self._rows[entry.start + start : entry.start + stop]
        if not np.isfinite(rows).all():
            raise StoreError(
                f"{self.path}: the features of {entry.source} are not finite (NaN or "
                "infinity); extract them anew"
            )
        return rows

    def features(self, source: str | Path) -> np.ndarray:
        """Return a whole recording's features.

        Returns:
            float32 array (n_bins, T).

        Raises:
            StoreError: the store does not have it, or it is damaged.
        """
        entry = self.entry(source)
        if not self._is_as_stored(entry):
            raise StoreError(
                f"{self.path}: the features of {entry.source} are damaged; extract "
                "them anew with features --verify"
            )
        return self.rows(entry).T.astype(np.float32)

    def damaged(self) -> list[Entry]:
        """Read everything; return the recordings that have changed on disk."""
        return [entry for entry in self if not self._is_as_stored(entry)]

    def _is_as_stored(self, entry: Entry) -> bool:
        rows = self._rows[entry.start : entry.start + entry.frames]
        return entry.digest in ("", _digest(rows))


class FeatureStoreWriter(Closing):
    """Adds recordings to a feature store; makes the store if there is none.

    Use as a context manager. One writer at a time: a lock file keeps others out.

    Args:
        path: the folder.
        frontend: the parameters of the features to be added.
        wait: whether to wait until no other process is writing.

    Raises:
        FrontendMismatch: the store was made with other parameters.
        StoreError: another process is writing, or the store is damaged.
    """

    def __init__(
        self, path: str | Path, frontend: Frontend, wait: bool = False
    ) -> None:
        self.path = Path(path)
        self.frontend = frontend
        self.path.mkdir(parents=True, exist_ok=True)
        if (self.path / _COMPRESSED).exists():
            raise StoreError(
                f"{self.path}: is compressed, so nothing can be added to it; name "
                "another store"
            )
        try:
            self._lock = lock(self.path / "lock", wait)
        except BlockingIOError:
            raise StoreError(
                f"{self.path}: another process is writing to this store"
            ) from None
        with ExitStack() as opened:
            opened.callback(self._lock.close)
            self._open(opened)
            opened.pop_all()

    def _open(self, opened: ExitStack) -> None:
        """Check the store and open its files; what is open closes if it is refused."""
        header = self.path / "store.json"
        if header.exists():
            self.frontend.check_same(_read_header(self.path), str(self.path))
        else:
            write_atomically(
                header,
                json.dumps(
                    {"format": _FORMAT, "frontend": self.frontend.to_dict()}, indent=1
                ),
            )
        self._index = opened.enter_context(open(self.path / "index.jsonl", "ab"))
        self._data = opened.enter_context(open(self.path / "features.f16", "ab"))
        entries, index_size = _read_index(self.path)
        self._by_source = {entry.source: entry for entry in entries}
        self._by_key = {entry.key: entry for entry in entries}
        end = max((entry.start + entry.frames for entry in entries), default=0)
        frames = self._data.tell() // self._row_bytes
        if frames < end:
            raise StoreError(
                f"{self.path}: features.f16 is shorter than the index says"
            )
        self._check_unfinished(frames - end, len(entries))
        # Drop the line that a killed writer began. Its rows stay, as nothing tells
        # whose they are.
        self._index.truncate(index_size)

    def _check_unfinished(self, frames: int, recordings: int) -> None:
        """Refuse to continue if there is more than a killed writer can have left."""
        if frames * self.frontend.seconds_per_frame > _LONGEST:
            raise StoreError(
                f"{self.path}: index.jsonl names {recordings} recordings, and "
                f"{frames} frames that follow belong to none; it is damaged"
            )

    @property
    def _row_bytes(self) -> int:
        return 2 * self.frontend.n_bins

    @property
    def keys(self) -> frozenset[str]:
        """Content hashes of all recordings in the store."""
        return frozenset(self._by_key)

    @property
    def entries(self) -> list[Entry]:
        """All recordings in the store."""
        return list(self._by_source.values())

    def find(self, source: str | Path) -> Entry | None:
        """Return the entry of a file, or None if the store does not have it."""
        return self._by_source.get(str(source))

    def forget(self, entries: Iterable[Entry]) -> None:
        """Forget recordings, so that adding them again stores them anew."""
        for entry in entries:
            self._by_source.pop(entry.source, None)
            self._by_key.pop(entry.key, None)

    def remove(self, entries: Iterable[Entry]) -> None:
        """Forget recordings for good; their features stay, of no use to anyone."""
        self.forget(entries)
        path = self.path / "index.jsonl"
        lines = [json.dumps(asdict(entry)) + "\n" for entry in self.entries]
        self._index.close()
        try:
            write_atomically(path, "".join(lines))
        finally:
            self._index = open(path, "ab")

    def add(
        self,
        source: str | Path,
        key: str,
        features: np.ndarray | None = None,
        size: int | None = None,
        mtime_ns: int | None = None,
        source_pool: int = 1,
    ) -> Entry:
        """Add a recording; on return it is on disk.

        Args:
            source: names the file that was read.
            key: SHA-256 of its content. If the store has that content already,
                its features are shared.
            features: float array (n_bins, T); not needed for shared content.
            size: size of the file in bytes.
            mtime_ns: when it was last changed.
            source_pool: how many frames a column of the file averages.

        Returns:
            The new entry.

        Raises:
            StoreError: the features have the wrong shape or are not finite, or none
                were given for new content.
        """
        twin = self._by_key.get(key)
        if twin is not None:
            start, frames, digest = twin.start, twin.frames, twin.digest
            source_pool = twin.source_pool
        else:
            bins = self.frontend.n_bins
            if features is None or features.ndim != 2 or features.shape[0] != bins:
                shape = None if features is None else features.shape
                raise StoreError(
                    f"{source}: expected features of shape ({bins}, T), found {shape}"
                )
            with np.errstate(over="ignore"):
                stored = np.ascontiguousarray(features.T, np.float16)
            if not np.isfinite(stored).all():
                raise StoreError(
                    f"{source}: has features that are not finite, or too large for "
                    "float16"
                )
            frames, digest = features.shape[1], _digest(stored)
            with naming(self.path / "features.f16"):
                # Behind whatever is there, which a killed writer may have left.
                self._data.write(bytes(-self._data.tell() % self._row_bytes))
                start = self._data.tell() // self._row_bytes
                self._data.write(stored.tobytes())
                flush(self._data)
        entry = Entry(
            str(source), key, size, mtime_ns, start, frames, digest, source_pool
        )
        with naming(self.path / "index.jsonl"):
            self._index.write(json.dumps(asdict(entry)).encode() + b"\n")
            flush(self._index)
        self._by_source[entry.source] = entry
        self._by_key[key] = entry
        return entry

    def close(self) -> None:
        """Release the files and the lock."""
        # Flushing may fail on a full disk too; release the lock in any case.
        with naming(self.path), ExitStack() as closing:
            for file in (self._lock, self._data, self._index):
                closing.callback(file.close)


def compress_store(path: Path, dropped_bits: int) -> None:
    """Round and compress a finished store, which can then only be read.

    If this is interrupted, the store is unusable: compress a copy.

    Args:
        path: the store's folder.
        dropped_bits: how many bits of each mantissa are lost, 0 to 8.
    """
    store = FeatureStore(path)
    data = compress_rows(store._rows, dropped_bits)
    rows = decompress_rows(data, store.frontend.n_bins)
    lines = []
    for entry in store:
        own = rows[entry.start : entry.start + entry.frames]
        lines.append(json.dumps(asdict(replace(entry, digest=_digest(own)))) + "\n")
    write_atomically(path / _COMPRESSED, data)
    write_atomically(path / "index.jsonl", "".join(lines))
    (path / "features.f16").unlink()


def _open_rows(folder: Path, n_bins: int) -> np.ndarray:
    """Return all rows (frames, n_bins), mapped into memory unless compressed."""
    compressed = folder / _COMPRESSED
    if compressed.exists():
        try:
            return decompress_rows(compressed.read_bytes(), n_bins)
        except ValueError as error:
            raise StoreError(f"{compressed}: damaged ({error})") from None
    data = folder / "features.f16"
    rows = data.stat().st_size // (2 * n_bins)
    if not rows:
        return np.empty((0, n_bins), np.float16)
    return np.memmap(data, np.float16, "r", shape=(rows, n_bins))


def _digest(rows: np.ndarray) -> str:
    """Return the SHA-256 of rows as they lie on disk."""
    return hashlib.sha256(np.ascontiguousarray(rows, "<f2").tobytes()).hexdigest()


def _read_header(folder: Path) -> Frontend:
    path = folder / "store.json"
    try:
        header = json_object(path.read_bytes(), path, StoreError)
        if header["format"] != _FORMAT:
            raise StoreError(
                f"{folder}: feature store of format {header['format']}; "
                f"this version reads format {_FORMAT}"
            )
        return Frontend.from_dict(header["frontend"])
    except FileNotFoundError:
        raise StoreError(
            f"{folder}: no feature store (store.json is missing)"
        ) from None
    except (KeyError, TypeError, ConfigError) as error:
        raise StoreError(f"{path}: damaged ({error})") from None


def _entry(values: JsonObject) -> Entry:
    """Build an entry from a line's values.

    Raises:
        TypeError: a value is missing, unknown or of another type.
    """
    entry = Entry(**values)
    counts = (entry.start, entry.frames, entry.source_pool)
    if not all(type(count) is int and count >= 0 for count in counts):
        raise TypeError(f"start, frames and source_pool are {counts}")
    texts = (entry.source, entry.key, entry.digest)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"source, key and digest are {texts}")
    return entry


def _read_index(folder: Path) -> tuple[list[Entry], int]:
    """Return the entries and the size in bytes of the whole lines."""
    path = folder / "index.jsonl"
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    rest = content[len(whole) :]
    is_begun = _LINE_START.startswith(rest[: len(_LINE_START)])
    if not is_begun or rest.count(_LINE_START) > 1 or any(byte < 32 for byte in rest):
        raise StoreError(
            f"{path}: damaged; it ends with {rest[:40]!r}, which is not part of a line"
        )
    entries = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            entries.append(_entry(json_object(line, "the line", StoreError)))
        except (StoreError, TypeError) as error:
            raise StoreError(f"{path}:{number}: damaged line ({error})") from None
    return entries, len(whole)
