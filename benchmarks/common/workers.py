"""A system in a process of its own, which does what it is told and is measured."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from typing import Any


class Worker:
    """A process for a system, in which its memory can be told from others'."""

    def __init__(self, system: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(system, theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Id of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def do(self, operation: Any, *arguments: Any) -> Any:
        """Return `operation(system, *arguments)` of the process."""
        self._pipe.send((operation, *arguments))
        answer = self._pipe.recv()
        time.sleep(0.02)  # threads that spin after their work go to sleep
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._process.join()


def _serve(system: Any, pipe: Any) -> None:
    """Do what is asked through a pipe until None comes."""
    while (request := pipe.recv()) is not None:
        operation, *arguments = request
        pipe.send(operation(system, *arguments))
