"""A function of files on all cores, which survives the crash of a decoder."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any


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
