"""Applies a function to files on all cores, and survives the crash of a decoder."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, Generic, TypeVar

from bytecover_tf.cores import usable_cores
from bytecover_tf.errors import WorkerError
from bytecover_tf.stores.handover import Parcel

Result = TypeVar("Result")

# What numpy's own wheels compute matrix products with reads it when it is loaded.
_THREADS = "OPENBLAS_NUM_THREADS"


@dataclass(frozen=True)
class ProcessMap(Generic[Result]):
    """Runs a reader of files over processes, surviving the death of one.

    Attributes:
        read: the function that each process applies to a path. It returns a result, or
            text that says why there is none. A `Reader` knows only the content that was
            known at the start, so a file that occurs twice in a run may be read twice.
        workers: processes; by default as many as `usable_cores`.

    Raises (of `map`):
        WorkerError: no process can be started here, whatever the file.
    """

    read: Callable[[str], Result]
    workers: int | None = None

    def map(self, paths: Sequence[str]) -> Iterator[tuple[str, Result | str]]:
        """Yield each path with its result, in the order of completion."""
        waiting = deque(paths)
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            while True:
                pending: dict[Future[Parcel], str] = {}
                try:
                    yield from self._map(waiting, pending, folder)
                    return
                except BrokenProcessPool:
                    # A decoder crashed, but nobody knows on which of the files in
                    # progress. Try those one by one, then continue with the others.
                    for path in list(pending.values()):
                        yield path, self._alone(path, folder)

    def _map(
        self,
        waiting: deque[str],
        pending: dict[Future[Parcel], str],
        folder: str,
    ) -> Iterator[tuple[str, Result]]:
        count = self.workers or usable_cores()
        with self._executor(count, folder) as pool, _ended_if_left():
            while waiting or pending:
                # A short queue, so that the features in memory stay few.
                while waiting and len(pending) < 2 * count:
                    with _no_interrupts(), _one_thread_each():
                        future: Future[Parcel] = pool.submit(_read, waiting[0])
                    # Count it only now: a broken pool raises at submission too.
                    pending[future] = waiting.popleft()
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    parcel = future.result()
                    # Unpacked in place, so that nothing here holds what is given out.
                    yield pending.pop(future), parcel.unpack()

    def _alone(self, path: str, folder: str) -> Result | str:
        with self._executor(1, folder) as pool:
            try:
                with _no_interrupts(), _one_thread_each():
                    ready = pool.submit(os.getpid)
                ready.result()
            except BrokenProcessPool:
                raise WorkerError(
                    "processes that read files end as soon as they are started; is "
                    "there memory for them, and can they import this package?"
                ) from None
            try:
                result: Result = pool.submit(_read, path).result().unpack()
                return result
            except BrokenProcessPool:
                return f"{path}: the decoder crashed"

    def _executor(self, count: int, folder: str) -> ProcessPoolExecutor:
        # Do not fork: the parent may run TensorFlow's threads. Send the reader once per
        # process and not with each file, because it knows all content of a catalogue.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(
            count, context, initializer=_begin, initargs=(self.read, folder)
        )


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Protect processes that are started in this block from Ctrl-C.

    The terminal sends the interrupt to all processes, and the main one ends the others.
    A new process inherits the blocked signal; afterwards this process receives it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let numpy compute on one thread in processes that are started in this block.

    There are as many processes as cores, and threads of several get in each other's
    way. Who sets the variable has the say.
    """
    if _THREADS in os.environ:
        yield
        return
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[_THREADS]


_reader: Callable[[str], Any]
_folder: str


@contextmanager
def _ended_if_left() -> Iterator[None]:
    """If the block ends with an error, end the processes that it started."""
    others = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise


def _begin(reader: Callable[[str], Any], folder: str) -> None:
    """Get a process ready to read, until the one that started it is gone."""
    global _reader, _folder
    _reader, _folder = reader, folder
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    # If the parent was killed, nobody else removes it.
    shutil.rmtree(_folder, ignore_errors=True)
    # Exit at once: a decoder may work for minutes, and nobody waits for it.
    os._exit(1)


def _read(path: str) -> Parcel:
    return Parcel.pack(_reader(path), _folder)
