"""Processes that do the heavy work, and are replaced when they die.

Each process has a thread of this process that keeps it: starts it, hands it one task
after another, and ends it when a task takes too long, holds too much memory, or is
given up. A decoder that crashes on a file takes its own request down, nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bytecover_tf.errors import ByteCoverError, WorkerError
from bytecover_tf.files import JsonObject
from bytecover_tf.server.worker import READY, Reply, run_worker
from bytecover_tf.terminal import warn

# How often a busy process is looked at, in seconds.
_LOOK = 0.1
# Seconds before a process that cannot start is tried again: doubled each time.
_FIRST_REST, _LONGEST_REST = 1.0, 60.0
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class WorkerLost(ByteCoverError):
    """The process that was at a task has died."""


class TooSlow(ByteCoverError):
    """A task took longer than it may."""


class TooLarge(ByteCoverError):
    """A task held more memory than it may."""


class GivenUp(ByteCoverError):
    """A task was given up by whoever asked for it."""


@dataclass(eq=False)
class Task:
    """Something to be done by a process.

    Attributes:
        name: of a method of the engine.
        arguments: of this method; they are sent to the process.
        seconds: the most that it may take.
        is_long: whether it is a job, which leaves one process to the requests.
        continues: whether it goes on where it was ended if it is begun again.
        on_event: called with each thing that the method emits, in another thread.
        result: what becomes of it. Cancelled while it waits, it is never begun.
    """

    name: str
    arguments: dict[str, Any]
    seconds: float
    is_long: bool = False
    continues: bool = False
    on_event: Callable[[JsonObject], None] = lambda event: None
    result: Future[Any] = field(default_factory=Future)
    _is_given_up: threading.Event = field(default_factory=threading.Event)

    def give_up(self) -> None:
        """Do not begin it, or end the process that is at it."""
        self.result.cancel()
        self._is_given_up.set()

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._is_given_up.is_set()


class Pool:
    """A number of processes and the tasks that wait for them.

    Args:
        make_engine: called in each process; what it returns does the tasks. It is sent
            to the process.
        workers: number of processes. With two or more, one is kept free of jobs.
        memory_bytes: the most that each may hold; heeded on Linux only.
    """

    def __init__(
        self, make_engine: Callable[[], Any], workers: int, memory_bytes: int
    ) -> None:
        self._make_engine = make_engine
        self._memory_bytes = memory_bytes
        self._change = threading.Condition()
        self._short: deque[Task] = deque()
        self._long: deque[Task] = deque()
        self._is_closed = False
        self.restarts = 0
        self.busy = 0
        self._keepers = [
            _Keeper(self, takes_long=workers == 1 or number > 0)
            for number in range(workers)
        ]

    @property
    def workers(self) -> int:
        """How many processes there should be."""
        return len(self._keepers)

    @property
    def ready(self) -> int:
        """How many processes are at work or wait for it."""
        return sum(keeper.is_ready for keeper in self._keepers)

    @property
    def waiting(self) -> int:
        """How many tasks wait."""
        return len(self._short) + len(self._long)

    @property
    def process_ids(self) -> list[int]:
        """Of the processes that are there."""
        ids = (keeper.process_id for keeper in self._keepers)
        return [number for number in ids if number is not None]

    def start(self) -> None:
        """Start the processes and wait until one is ready.

        Raises:
            ByteCoverError: the engine cannot be made, such as for want of an encoder.
        """
        for keeper in self._keepers:
            keeper.start()
        with self._change:
            self._change.wait_for(
                lambda: self.ready or all(keeper.failure for keeper in self._keepers)
            )
        if not self.ready:
            self.close()
            raise WorkerError(self._keepers[0].failure)

    def submit(self, task: Task) -> Task:
        """Have a task done once a process is free.

        Raises:
            WorkerLost: the pool is closed, or no process that takes it can start.
        """
        with self._change:
            if self._is_closed:
                raise WorkerLost("the server is stopping")
            if reason := self._failure(task.is_long):
                raise WorkerLost(reason)
            (self._long if task.is_long else self._short).append(task)
            self._change.notify_all()
        return task

    def close(self) -> None:
        """End all processes at once; what they were at has failed."""
        with self._change:
            self._is_closed = True
            left = [*self._short, *self._long]
            self._short.clear()
            self._long.clear()
            self._change.notify_all()
        for task in left:
            _settle(task, error=WorkerLost("the server is stopping"))
        for keeper in self._keepers:
            keeper.join()

    def _next(self, takes_long: bool) -> Task | None:
        """Wait for a task; None once the pool is closed."""

        def queue() -> deque[Task] | None:
            if self._short:
                return self._short
            return self._long if takes_long and self._long else None

        with self._change:
            while True:
                self._change.wait_for(lambda: self._is_closed or queue())
                if self._is_closed:
                    return None
                found = queue()
                assert found is not None
                task = found.popleft()
                if task.result.set_running_or_notify_cancel():
                    self.busy += 1
                    return task

    def _told(self) -> None:
        """Have others look again; fail the tasks that no process can be started for."""
        lost = []
        with self._change:
            for tasks, is_long in ((self._short, False), (self._long, True)):
                if reason := self._failure(is_long):
                    lost += [(task, reason) for task in tasks]
                    tasks.clear()
            self._change.notify_all()
        for task, reason in lost:
            _settle(task, error=WorkerLost(reason))

    def _failure(self, is_long: bool) -> str:
        """Return why no process takes such tasks; nothing if one does, or may yet."""
        failures = [
            keeper.failure
            for keeper in self._keepers
            if keeper.takes_long or not is_long
        ]
        return failures[0] if all(failures) else ""

    def _rest(self, seconds: float) -> None:
        with self._change:
            self._change.wait_for(lambda: self._is_closed, seconds)


class _Keeper(threading.Thread):
    """Keeps one process."""

    def __init__(self, pool: Pool, takes_long: bool) -> None:
        super().__init__(daemon=True)
        self._pool = pool
        self.takes_long = takes_long
        self._process: Any = None
        self._connection: Connection | None = None
        self.is_ready = False
        self.failure = ""

    @property
    def process_id(self) -> int | None:
        process = self._process
        return process.pid if process is not None else None

    def run(self) -> None:
        rest = _FIRST_REST
        while not self._pool._is_closed:
            try:
                self._begin()
            except ByteCoverError as error:
                self._end()
                if not self.failure:
                    warn(f"a worker cannot start: {error}")
                self.failure = str(error)
                self._pool._told()
                self._pool._rest(rest)
                rest = min(2 * rest, _LONGEST_REST)
                continue
            rest, self.failure, self.is_ready = _FIRST_REST, "", True
            self._pool._told()
            self._serve()
            self.is_ready = False
            self._end()
            self._pool.restarts += not self._pool._is_closed

    def _begin(self) -> None:
        # Not forked: this process has threads.
        context = multiprocessing.get_context("spawn")
        try:
            self._connection, theirs = context.Pipe()
            process = context.Process(
                target=run_worker, args=(self._pool._make_engine, theirs)
            )
            process.start()
        except OSError as error:  # of too many open files, say
            raise WorkerLost(f"no process can be started: {error.strerror}") from error
        self._process = process
        theirs.close()
        try:
            while not self._connection.poll(_LOOK):
                if self._pool._is_closed:
                    raise WorkerLost("the server is stopping")
            reply: Reply = self._connection.recv()
        except (EOFError, OSError):
            raise WorkerLost("it ended while it started") from None
        if reply.kind != READY:
            raise WorkerError(str(reply.value))

    def _serve(self) -> None:
        """Hand on tasks until the process has to be replaced or the pool is closed."""
        while (task := self._idle()) is not None:
            try:
                self._revive()
                value, error = self._do(task), None
            except ByteCoverError as reason:
                value, error = None, reason
            except Exception as reason:
                # Of whoever is told of its events, if not of this code. This thread
                # must live on: nobody else ends the process.
                value, error = None, WorkerLost(f"its events cannot be told: {reason}")
            finally:
                self._pool.busy -= 1
            _settle(task, value, error)
            if isinstance(error, (WorkerLost, TooSlow, TooLarge, GivenUp)):
                return

    def _revive(self) -> None:
        """Replace a process that died while it had nothing to do."""
        if self._process is None or not self._process.is_alive():
            self._end()
            self._begin()
            self._pool.restarts += 1

    def _idle(self) -> Task | None:
        return self._pool._next(self.takes_long)

    def _do(self, task: Task) -> Any:
        assert self._connection is not None
        started = time.monotonic()
        try:
            self._connection.send((task.name, task.arguments))
            while True:
                if self._connection.poll(_LOOK):
                    reply: Reply = self._connection.recv()
                    if reply.is_last:
                        return reply.outcome()
                    task.on_event(reply.value)
                self._check(task, started)
        except (EOFError, OSError):
            raise WorkerLost("the process that was at it has died; try again") from None

    def _check(self, task: Task, started: float) -> None:
        if self._pool._is_closed:
            raise WorkerLost("the server is stopping")
        if task.is_given_up:
            raise GivenUp("given up")
        if time.monotonic() - started > task.seconds:
            advice = "; begin it again to continue" if task.continues else ""
            raise TooSlow(
                f"took longer than the {task.seconds:.0f} s it may take{advice}"
            )
        if _memory(self._process.pid) > self._pool._memory_bytes:
            most = self._pool._memory_bytes / 2**30
            raise TooLarge(f"needs more memory than the {most:.1f} GiB that it may use")

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._connection is not None:
            self._connection.close()


def _settle(task: Task, value: Any = None, error: Exception | None = None) -> None:
    with suppress(InvalidStateError):  # it was cancelled
        if error is None:
            task.result.set_result(value)
        else:
            task.result.set_exception(error)


def _memory(process_id: int) -> int:
    """Return the bytes that a process holds; 0 where that cannot be told."""
    try:
        pages = Path(f"/proc/{process_id}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * _PAGE
