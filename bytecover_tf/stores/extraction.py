"""Extraction of a data set's features into a store, in parallel and resumable."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bytecover_tf.audio import chroma
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import Heard, Hearing
from bytecover_tf.errors import AudioError, StoreError, explain
from bytecover_tf.files import content_hash, is_unchanged, modified_ns
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.feature_store import Entry, FeatureStore, FeatureStoreWriter
from bytecover_tf.stores.process_map import ProcessMap
from bytecover_tf.stores.published_features import read_published
from bytecover_tf.terminal import warn


@dataclass
class ExtractionReport:
    """What an extraction did.

    Attributes:
        extracted: number of recordings added.
        present: number of recordings that were in the store already.
        failed: reason by path, for each recording that was skipped.
        damaged: paths of the recordings that were found damaged in the store, if
            `verify` was asked for. Those among the files to extract were extracted
            again.
    """

    extracted: int = 0
    present: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Extracted:
    """What was read of a file.

    Attributes:
        key: SHA-256 of its content.
        size: in bytes.
        mtime_ns: when it was last changed, by `modified_ns`.
        features: (n_bins, T), or None if this content was known already.
        chroma: uint8 (12 * parts, n), or None if it was not asked for.
        heard: as of `Sound`.
        later: likewise.
    """

    key: str
    size: int
    mtime_ns: int
    features: np.ndarray | None
    chroma: np.ndarray | None = None
    heard: Heard | None = None
    later: np.ndarray | None = None


def extract_features(
    paths: Iterable[str | Path],
    store: str | Path,
    frontend: Frontend,
    workers: int | None = None,
    source_pool: int | None = None,
    allow_truncated: bool = False,
    verify: bool = False,
) -> ExtractionReport:
    """Add the features of files to a store.

    A file that the store has, with the same size and time of change, is not read again,
    unless `source_pool` is another one now. What it has of files that are gone stays.
    Files that cannot be used are reported and skipped. Each recording is on disk as
    soon as it is extracted, so an interrupted extraction continues where it stopped.
    While another process writes to the store, this one waits.

    Args:
        paths: audio files, or `.npy` files with |CQT| of shape (n_bins, frames).
        store: folder of the feature store, made if there is none.
        frontend: parameters of the features.
        workers: processes; by default one per core.
        source_pool: how many frames a column of the `.npy` files averages; None for
            what the store says, and 1 for files that it lacks.
        allow_truncated: whether to take what is there of truncated files.
        verify: whether to check everything in the store, and to extract damaged
            recordings again.

    Returns:
        What was done and what failed.

    Raises:
        FrontendMismatch: the store has other parameters.
        StoreError: another process has been writing to the store for half an hour.
    """
    report = ExtractionReport()
    with FeatureStoreWriter(store, frontend, wait=True) as writer:
        if verify:
            damaged = FeatureStore(store).damaged()
            report.damaged = [entry.source for entry in damaged]
            writer.forget(damaged)
        todo = []
        # Drawn recordings have names and no files.
        for path, given in {os.path.abspath(path): path for path in paths}.items():
            entry = writer.find(given) or writer.find(path)
            if entry is not None and not has_changed(entry, source_pool):
                report.present += 1
                continue
            if entry is not None and _is_of_another_pool(entry, source_pool):
                # Its content is the same, but not what is made of it.
                writer.forget([entry])
            todo.append(path)
        if not todo:
            return report
        bar = progress_bar(total=len(todo), unit="file", desc="features")
        with bar:
            pool = source_pool or 1
            read = Reader(
                frontend,
                pool,
                writer.keys,
                allow_truncated=allow_truncated,
            )
            for path, result in ProcessMap(read, workers).map(todo):
                bar.update()
                reason = _add(writer, path, result, _pool(path, pool))
                if reason:
                    report.failed[path] = reason
                    bar.set_postfix(failed=len(report.failed))
                else:
                    report.extracted += 1
    return report


def _add(
    writer: FeatureStoreWriter, path: str, read: Extracted | str, source_pool: int
) -> str:
    """Add what was read of a file; return the reason if there is nothing to add."""
    if isinstance(read, str):
        return read
    try:
        writer.add(path, read.key, read.features, read.size, read.mtime_ns, source_pool)
    except StoreError as error:
        return str(error)
    return ""


def has_changed(entry: Entry, source_pool: int | None = None) -> bool:
    """Whether other features would be made of a file now than an entry has.

    Args:
        entry: of the file. One that is gone has not changed.
        source_pool: how many frames a column of `.npy` files averages; None for what
            the entry says.
    """
    if not os.path.exists(entry.source):
        return False
    is_same = is_unchanged(entry.source, entry.size, entry.mtime_ns)
    return not is_same or _is_of_another_pool(entry, source_pool)


def _is_of_another_pool(entry: Entry, source_pool: int | None) -> bool:
    return (
        source_pool is not None
        and _pool(entry.source, source_pool) != entry.source_pool
    )


def _pool(path: str, source_pool: int) -> int:
    """Return how many frames a column of a file averages; 1 if it holds sound."""
    return source_pool if path.lower().endswith(".npy") else 1


@dataclass(frozen=True)
class Reader:
    """Reads the file at a path, in any process of any machine.

    Attributes:
        frontend: parameters of the features.
        source_pool: how many frames a column of a `.npy` file averages.
        known: content that needs no features.
        with_chroma: whether to return chroma too.
        hearing: the network that hears the notes for it; None for chroma of
            the transform alone.
        allow_truncated: whether to take what is there of a truncated file.
    """

    frontend: Frontend
    source_pool: int = 1
    known: frozenset[str] = frozenset()
    with_chroma: bool = False
    hearing: Hearing | None = None
    allow_truncated: bool = False

    def __call__(self, path: str) -> Extracted | str:
        """Return what was read, or the reason why nothing could be."""
        try:
            return self.read(path)
        except Exception as error:  # one bad file must not stop a batch
            return explain(error, path)

    def read(self, path: str) -> Extracted:
        """Read one recording.

        Args:
            path: an audio file, a `.npy` file with |CQT| of shape (n_bins, frames), or
                a `.h5` file of published features.

        Raises:
            AudioError: the file cannot be used, such as a `.npy` file that `hearing`
                should hear notes in.
        """
        if not os.path.isfile(path) or not os.path.getsize(path):
            self.frontend.extract(path)  # raises with the reason
        status = os.stat(path)
        try:
            key = content_hash(path)
        except OSError as error:
            raise AudioError(f"{path}: cannot be read: {error.strerror}") from error
        read = Extracted(key, status.st_size, modified_ns(status), None)
        if key not in self.known:
            read = replace(read, **self._transform(path))
        if read.chroma is not None and not read.chroma.shape[1]:
            raise AudioError(f"{path}: shorter than one frame of chroma")
        return read

    def _transform(self, path: str) -> dict[str, Any]:
        """Return features, and if it is asked for, the rest of a `Sound`, by name."""
        source_pool = _pool(path, self.source_pool)
        if path.lower().endswith(".h5"):
            magnitudes = read_published(path, self.frontend)
        elif path.lower().endswith(".npy"):
            try:
                magnitudes = np.load(path, allow_pickle=False)
            except (ValueError, EOFError) as error:
                raise AudioError(
                    f"{path}: not a readable .npy array ({error})"
                ) from None
        elif self.with_chroma:
            sound = self.frontend.extract_sound(
                path, self.hearing, self.allow_truncated
            )
            return sound._asdict()
        else:
            return {"features": self.frontend.extract(path, self.allow_truncated)}
        features = self.frontend.from_cqt(magnitudes, source_pool, path)
        if not self.with_chroma:
            return {"features": features}
        if self.hearing is not None:
            raise AudioError(
                f"{path}: notes are heard in sound, not in a |CQT|; expected an audio "
                "file, or a catalogue made with --hearing none"
            )
        folded = chroma.chroma_of_cqt(magnitudes, source_pool, self.frontend, path)
        return {"features": features, "chroma": folded}


def print_failures(report: ExtractionReport) -> None:
    """Print one line on standard error for each file that failed."""
    for reason in report.failed.values():
        warn(f"skipped: {reason}")
