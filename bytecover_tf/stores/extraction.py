"""Extraction of a data set's features into a store, in parallel and resumable."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bytecover_tf.audio import chroma
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.track import Track
from bytecover_tf.errors import AudioError, DataError, explain
from bytecover_tf.files import content_hash, is_unchanged
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.feature_store import Entry, FeatureStore, FeatureStoreWriter


@dataclass
class ExtractionReport:
    """What an extraction did.

    Attributes:
        extracted: number of recordings added.
        present: number that the store had already.
        failed: reason by path, for each recording that was skipped.
    """

    extracted: int = 0
    present: int = 0
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Extracted:
    """What was read of a file.

    Attributes:
        key: SHA-256 of its content.
        size: in bytes.
        mtime_ns: when it was last changed, in nanoseconds.
        features: (n_bins, T), or None if this content was known already.
        chroma: uint8 (12, n), or None if it was not asked for.
    """

    key: str
    size: int
    mtime_ns: int
    features: np.ndarray | None
    chroma: np.ndarray | None = None


def extract_features(
    paths: Iterable[str | Path],
    store: str | Path,
    frontend: Frontend,
    workers: int | None = None,
    source_pool: int = 1,
) -> ExtractionReport:
    """Add the features of files to a store.

    A file that the store has, with the same size and time of change, is not read
    again. Files that cannot be used are reported and skipped. What was extracted
    is on disk at once, so that an interrupted extraction continues where it was.

    Args:
        paths: audio files, or `.npy` files with |CQT| of shape (n_bins, frames).
        store: folder of the feature store, made if there is none.
        frontend: parameters of the features.
        workers: processes; by default one a core.
        source_pool: how many frames a column of the `.npy` files averages.

    Returns:
        What was done and what failed.

    Raises:
        FrontendMismatch: the store has other parameters.
        StoreError: another process is writing to the store.
    """
    report = ExtractionReport()
    with FeatureStoreWriter(store, frontend) as writer:
        todo = []
        for path in dict.fromkeys(os.path.abspath(path) for path in paths):
            if _is_present(writer, path):
                report.present += 1
            else:
                todo.append(path)
        if not todo:
            return report
        bar = progress_bar(total=len(todo), unit="file", desc="features")
        with bar:
            read = Reader(frontend, source_pool, writer.keys)
            for path, result in ProcessMap(read, workers).map(todo):
                bar.update()
                if isinstance(result, str):
                    report.failed[path] = result
                    bar.set_postfix(failed=len(report.failed))
                    continue
                writer.add(
                    path, result.key, result.features, result.size, result.mtime_ns
                )
                report.extracted += 1
    return report


def _is_present(writer: FeatureStoreWriter, path: str) -> bool:
    entry = writer.find(path)
    return entry is not None and is_unchanged(path, entry.size, entry.mtime_ns)


def _has_changed(entry: Entry) -> bool:
    """Whether an entry's file is there and is not the one that was read."""
    path = entry.source
    return os.path.exists(path) and not is_unchanged(path, entry.size, entry.mtime_ns)


@dataclass(frozen=True)
class Reader:
    """Turns a path into what a file holds, in any process of any machine.

    Attributes:
        frontend: parameters of the features.
        source_pool: how many frames a column of a `.npy` file averages.
        known: content that needs no features.
        with_chroma: whether to return chroma too.
    """

    frontend: Frontend
    source_pool: int = 1
    known: frozenset[str] = frozenset()
    with_chroma: bool = False

    def __call__(self, path: str) -> Extracted | str:
        """Return what was read, or the reason why nothing could be."""
        try:
            return read_file(
                path, self.frontend, self.source_pool, self.known, self.with_chroma
            )
        except Exception as error:  # one bad file must not stop a batch
            return explain(error, path)


def read_file(
    path: str,
    frontend: Frontend,
    source_pool: int = 1,
    known: frozenset[str] = frozenset(),
    with_chroma: bool = False,
) -> Extracted:
    """Read one recording.

    Args:
        path: an audio file, or a `.npy` file with |CQT| of shape (n_bins, frames).
        frontend: parameters of the features.
        source_pool: how many frames a column of a `.npy` file averages.
        known: content that needs no features.
        with_chroma: whether to return chroma too.

    Raises:
        AudioError: the file cannot be used.
    """
    if not os.path.isfile(path) or not os.path.getsize(path):
        frontend.extract(path)  # raises with the reason
    status = os.stat(path)
    try:
        key = content_hash(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror}") from error
    features, folded = None, None
    if key not in known:
        features, folded = _transform(path, frontend, source_pool, with_chroma)
    if folded is not None and not folded.shape[1]:
        raise AudioError(f"{path}: shorter than one frame of chroma")
    return Extracted(key, status.st_size, status.st_mtime_ns, features, folded)


def _transform(
    path: str, frontend: Frontend, source_pool: int, with_chroma: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    if not path.endswith(".npy"):
        if with_chroma:
            return frontend.extract_with_chroma(path)
        return frontend.extract(path), None
    try:
        magnitudes = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise AudioError(f"{path}: not a readable .npy array ({error})") from None
    features = frontend.from_cqt(magnitudes, source_pool, path)
    if not with_chroma:
        return features, None
    folded = chroma.chroma_of_cqt(magnitudes, source_pool, frontend, path)
    return features, folded


@dataclass(frozen=True)
class ProcessMap:
    """Runs a reader of files over processes, surviving the death of one.

    Attributes:
        read: what each process does with a path; text that it returns is the reason
            why nothing came of it. The content that a `Reader` knows is that of the
            start; what is added since only saves work for doubles within a run.
        workers: processes; by default one a core.
    """

    read: Callable[[str], Any]
    workers: int | None = None

    def map(self, paths: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Yield each path with its result, in the order of completion."""
        waiting = deque(paths)
        while True:
            pending: dict[Future, str] = {}
            try:
                yield from self._map(waiting, pending)
                return
            except BrokenProcessPool:
                # A decoder crashed, and which of the files in work it was is not
                # known: try those alone, then go on with the others.
                for path in list(pending.values()):
                    yield path, self._alone(path)

    def _map(
        self, waiting: deque[str], pending: dict[Future, str]
    ) -> Iterator[tuple[str, Any]]:
        count = self.workers or os.cpu_count() or 1
        with self._executor(count) as pool:
            while waiting or pending:
                # A short queue, so that the features in memory stay few.
                while waiting and len(pending) < 2 * count:
                    future = pool.submit(_read, waiting[0])
                    # Only now, as a broken pool raises at submission too.
                    pending[future] = waiting.popleft()
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    yield pending.pop(future), result

    def _alone(self, path: str) -> Any:
        with self._executor(1) as pool:
            try:
                return pool.submit(_read, path).result()
            except BrokenProcessPool:
                return f"{path}: the decoder crashed"

    def _executor(self, count: int) -> ProcessPoolExecutor:
        # Not forked: the parent may have TensorFlow's threads. The reader is sent once
        # a process and not with each file, as it knows all content of a catalogue.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(
            count, context, initializer=_set_reader, initargs=(self.read,)
        )


_reader: Callable[[str], Any]


def _set_reader(reader: Callable[[str], Any]) -> None:
    global _reader
    _reader = reader


def _read(path: str) -> Any:
    return _reader(path)


def print_failures(report: ExtractionReport) -> None:
    """Print one line on standard error for each file that failed."""
    for reason in report.failed.values():
        print(f"skipped: {reason}", file=sys.stderr)


def open_features(
    tracks: Sequence[Track],
    store: Path,
    frontend: Frontend,
    workers: int | None = None,
    source_pool: int = 1,
) -> tuple[list[Track], FeatureStore]:
    """Return the store with all of the tracks' features, extracting what it lacks.

    Features of files that have changed are made anew; those of files that are gone
    are good as they are.

    Args:
        tracks: the recordings.
        store: folder of the feature store.
        frontend: parameters that the features must have.
        workers: processes for the extraction.
        source_pool: how many frames a column of `.npy` recordings averages.

    Returns:
        The tracks that have features, and the store. The others have been named on
        standard error.

    Raises:
        DataError: no track has features.
        FrontendMismatch: the store has other parameters.
        StoreError: the store is damaged or busy.
    """
    todo = [track.path for track in tracks]
    if (store / "store.json").exists():
        opened = FeatureStore(store)
        opened.frontend.check_same(frontend, str(store))
        entries = [opened.find(path) for path in todo]
        todo = [
            path
            for path, entry in zip(todo, entries, strict=True)
            if entry is None or _has_changed(entry)
        ]
        if not todo:
            return list(tracks), opened
    report = extract_features(todo, store, frontend, workers, source_pool)
    print_failures(report)
    opened = FeatureStore(store)
    usable = [
        track for track in tracks if os.path.abspath(track.path) not in report.failed
    ]
    if not usable:
        raise DataError(f"{store}: none of {len(tracks)} recordings could be used")
    return usable, opened


def default_store(
    name: str, root: Path | None, frontend: Frontend, split: str | None = None
) -> Path:
    """Return where a data set's features lie unless said otherwise.

    Args:
        name: of the data set.
        root: its folder, or the file of a manifest.
        frontend: of the features.
        split: the only one that is wanted; None for several.

    Raises:
        DataError: the data set needs a folder.
    """
    if name == "tunes":
        from bytecover_tf.data import tunes

        if root is None:
            return tunes.store(frontend, split)
        return root / tunes.STORE.name
    if root is None:
        raise DataError(f"--data {name} needs --data-root")
    folder = root if root.is_dir() else root.parent
    return folder / f"features-{frontend.hash}"
