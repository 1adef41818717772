"""What takes minutes: begun by one request, looked at by others, kept for a while."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from bytecover_tf.files import JsonObject
from bytecover_tf.server.limits import Limits
from bytecover_tf.server.pool import Task

_ENDED = ("done", "failed", "cancelled")


class Busy(Exception):
    """As much waits already as may."""


class Gate:
    """Lets a number of requests in at a time.

    Args:
        places: the number.
    """

    def __init__(self, places: int) -> None:
        self._left = places
        self._change = threading.Lock()

    def enter(self) -> None:
        """Take a place.

        Raises:
            Busy: there is none.
        """
        with self._change:
            if not self._left:
                raise Busy
            self._left -= 1

    def leave(self) -> None:
        """Give a place back."""
        with self._change:
            self._left += 1

    def __enter__(self) -> Gate:
        self.enter()
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()


@dataclass(eq=False)
class Job:
    """Something that takes minutes.

    Attributes:
        kind: such as `setlist`.
        name: what it is about.
        task: its work.
        id: names it, and cannot be guessed.
        begun: when it was asked for, in seconds since 1970.
        ended: when it ended; 0 before.
        progress: what its work has last said of itself.
    """

    kind: str
    name: str
    task: Task
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    begun: float = field(default_factory=time.time)
    ended: float = 0.0
    progress: JsonObject = field(default_factory=dict)

    @property
    def state(self) -> str:
        """`waiting`, `running`, `done`, `failed` or `cancelled`."""
        result = self.task.result
        if self.task.is_given_up or result.cancelled():
            return "cancelled"
        if result.done():
            return "failed" if result.exception() else "done"
        return "running" if result.running() else "waiting"

    def to_dict(self, with_result: bool = True) -> JsonObject:
        """Return the job as a JSON object."""
        facts = {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "state": self.state,
            "progress": self.progress,
            "seconds": round((self.ended or time.time()) - self.begun, 1),
        }
        if facts["state"] == "failed":
            facts["error"] = str(self.task.result.exception())
        if facts["state"] == "done" and with_result:
            facts["result"] = self.task.result.result()
        return facts


class Jobs:
    """The jobs of a server.

    Args:
        limits: how many, and how long their results are kept.
    """

    def __init__(self, limits: Limits) -> None:
        self._kept_seconds = limits.kept_seconds
        self._gate = Gate(limits.jobs)
        self._jobs: dict[str, Job] = {}

    def begin(
        self, job: Job, submit: Callable[[Task], Task], after: Callable[[], object]
    ) -> Job:
        """Begin a job.

        Args:
            job: what to begin.
            submit: has its task done.
            after: called when it has ended, however that was.

        Raises:
            Busy: as many wait and run as may.
        """
        self._drop_old()
        self._gate.enter()
        job.task.on_event = job.progress.update

        def end(result: Future[Any]) -> None:
            job.ended = time.time()
            self._gate.leave()
            after()

        job.task.result.add_done_callback(end)
        self._jobs[job.id] = job
        try:
            submit(job.task)
        except Exception as error:
            del self._jobs[job.id]
            job.task.result.set_exception(error)
            raise
        return job

    def get(self, name: str) -> Job | None:
        """Return a job by its id."""
        self._drop_old()
        return self._jobs.get(name)

    def all(self) -> list[Job]:
        """Return all jobs, the latest first."""
        self._drop_old()
        return sorted(self._jobs.values(), key=lambda job: -job.begun)

    def cancel(self, job: Job) -> None:
        """End a job, or forget one that has ended."""
        if job.state in _ENDED:
            self._jobs.pop(job.id, None)
        else:
            job.task.give_up()

    def _drop_old(self) -> None:
        oldest = time.time() - self._kept_seconds
        for job in list(self._jobs.values()):
            if job.ended and job.ended < oldest:
                self._jobs.pop(job.id, None)
