"""What runs in a process of its own: its time, its peak of memory, its ports."""

from __future__ import annotations

import multiprocessing
import os
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measured:
    """What a process did.

    Attributes:
        result: what the function returned.
        peak: bytes of memory of the process and its children together.
    """

    result: Any
    peak: int


def measured(function: Callable[..., Any], *arguments: Any) -> Measured:
    """Run a function of a module in a new process.

    Memory that processes share counts once. It is looked at five times a second; a
    peak between two looks is seen only if it is the function's own process's.

    Raises:
        RuntimeError: the function failed; its own error is on standard error.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    assert process.pid is not None
    peak = 0
    while not ours.poll(0.2):
        peak = max(peak, memory_of(family_of(process.pid)))
    try:
        result, own = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{function.__name__} failed") from None
    process.join()
    return Measured(result, max(peak, own))


@dataclass(frozen=True)
class Ran:
    """What a command did.

    Attributes:
        output: what it printed.
        start: when it was started, by `time.perf_counter`, which all processes share.
        seconds: from its start to its end.
        peak: bytes of memory of its process.
    """

    output: str
    start: float
    seconds: float
    peak: int


def run_command(command: Sequence[str]) -> Ran:
    """Run a command and measure its process.

    Its peak is no less than what this process has, so call this from a small one.

    Raises:
        RuntimeError: it ended with an error, which is on standard error.
    """
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {process.returncode}")
    return Ran(output, start, seconds, 1024 * usage.ru_maxrss)


class Stopwatch:
    """Takes the time of a block, and of the processors in it.

    Attributes:
        seconds: of wall-clock.
        processor: seconds of all cores together, with those of processes that were
            started and have ended.
    """

    def __enter__(self) -> Stopwatch:
        self.seconds, self.processor = -time.perf_counter(), -_processor()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter()
        self.processor += _processor()


def seconds_of(function: Callable[..., Any], *arguments: Any) -> float:
    """Return how long a call takes."""
    with Stopwatch() as watch:
        function(*arguments)
    return watch.seconds


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nothing listened on a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def family_of(pid: int) -> list[int]:
    """Return the ids of a process and all that it started."""
    family = [pid]
    for parent in family:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                family.extend(map(int, path.read_text().split()))
            except OSError:  # it has ended
                continue
    return family


def memory_of(pids: Sequence[int]) -> int:
    """Return the bytes of processes; what they share counts once."""
    own, shared = [0], [0]
    for pid in pids:
        try:
            _, resident, common, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        except (OSError, ValueError):  # it has ended
            continue
        own.append(int(resident) - int(common))
        shared.append(int(common))
    return resource.getpagesize() * (sum(own) + max(shared))


def _processor() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _serve(pipe: Any, function: Callable[..., Any], arguments: tuple) -> None:
    result = function(*arguments)
    pipe.send((result, _own_peak()))


def _own_peak() -> int:
    # Not getrusage's: that is no less than what the starting process had.
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])
