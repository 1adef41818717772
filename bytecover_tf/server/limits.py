"""What a request may take of the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on what requests may take.

    Attributes:
        upload_bytes: the most that one request may send.
        seconds: the most that one request may take once it is at work, and also the
            most that sending it may take.
        job_seconds: the most that one job may take.
        memory_bytes: the most that one worker may hold.
        waiting: requests that may wait for a worker.
        jobs: jobs that may wait or run.
        kept_seconds: how long the result of a job is kept.
    """

    upload_bytes: int = 512 * 2**20
    seconds: float = 120.0
    job_seconds: float = 3600.0
    memory_bytes: int = 4 * 2**30
    waiting: int = 16
    jobs: int = 8
    kept_seconds: float = 3600.0
