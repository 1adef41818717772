"""What runs in each process of the pool: an engine, and a loop around it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Any

from bytecover_tf.cli.quiet import load_tensorflow_quietly
from bytecover_tf.errors import ByteCoverError
from bytecover_tf.files import JsonObject

READY, EVENT, RESULT, REFUSAL, FAILURE = (
    "ready",
    "event",
    "result",
    "refusal",
    "failure",
)


class Failure(ByteCoverError):
    """A task failed in a way that was not foreseen."""


@dataclass(frozen=True)
class Reply:
    """What a process says.

    Attributes:
        kind: `ready` once, then for each task some `event` and one of the others.
        value: the event, the result, or the error of a `refusal` or `failure`.
    """

    kind: str
    value: Any = None

    @property
    def is_last(self) -> bool:
        """Whether it ends a task."""
        return self.kind != EVENT

    def outcome(self) -> Any:
        """Return the result.

        Raises:
            ByteCoverError: there is none.
        """
        if self.kind == RESULT:
            return self.value
        raise self.value if self.kind == REFUSAL else Failure(self.value)


def run_worker(make_engine: Callable[[], Any], connection: Connection) -> None:
    """Make an engine and have it do what comes through a connection.

    Args:
        make_engine: returns an object with a method for each kind of task. A method
            takes a function to emit events with, then the arguments of the task.
        connection: to the process that started this one. When it closes, or that
            process is gone, this one ends.
    """
    # A terminal sends Ctrl-C to all; the main process ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    load_tensorflow_quietly()
    try:
        engine = make_engine()
    except Exception as error:  # whatever it is, the other side says it
        connection.send(Reply(FAILURE, _text(error)))
        return

    def emit(event: JsonObject) -> None:
        connection.send(Reply(EVENT, event))

    connection.send(Reply(READY))
    while True:
        try:
            name, arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            reply = Reply(RESULT, getattr(engine, name)(emit, **arguments))
        except ByteCoverError as error:
            reply = Reply(REFUSAL, error)
        except Exception as error:  # one bad task must not end the process
            reply = Reply(FAILURE, _text(error))
        connection.send(reply)


def _text(error: Exception) -> str:
    if isinstance(error, ByteCoverError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
