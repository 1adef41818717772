"""How does the server bear many requests at once, and what goes wrong in them?

    python -m benchmarks.speed.load [--music DIR] [--seconds N] [--workers N]

Puts a folder of recordings (by default those that come with the package) into a
catalogue, except every fourth, and starts the server with it on this machine. Clients
then upload the others to be identified, one request after another: 1, 4 and 16 clients
for some seconds each, and last ten times as many as the server has places. Then some
clients vanish in the middle of an upload, and the workers are killed while requests are
at work.

Clients and server share the cores. Each client opens a connection for each request and
reads the answer even if the server stops reading the upload, as curl does.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.library import fill_catalogue
from benchmarks.common.processes import family_of, memory_of
from benchmarks.common.report import command_of, table, write_section

CLIENTS = (1, 4, 16)
# Requests that may wait for a worker; the server's own default.
WAITING = 16
OVERLOAD, ROUNDS = 10, 2
# So many that some wait when the workers are killed.
KILLS, CLIENTS_A_WORKER = 3, 6
# Seconds that anything may take before it counts as lost.
LIMIT = 180.0
BOUNDARY = "benchmark"
_MIB = 2**20


@dataclass(frozen=True)
class Answer:
    """What a client got.

    Attributes:
        status: of the answer; 0 if none came.
        seconds: from opening the connection to the end of the answer.
    """

    status: int
    seconds: float


class Server:
    """A server that runs, and ways to ask it.

    Args:
        process: the command, which prints its address.
        folder: where it keeps uploads.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://([\d.]+):(\d+)", said)
        if not found:
            raise RuntimeError(f"the server does not start: {said or 'no output'}")
        self._place = found[1], int(found[2])
        self._process = process
        self._folder = folder

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection."""
        return http.client.HTTPConnection(*self._place, timeout=LIMIT)

    def identify(self, upload: bytes) -> Answer:
        """Upload a form and wait for the answer."""
        start = time.perf_counter()
        connection = self.connect()
        try:
            begin_upload(connection, len(upload))
            # If the server stops reading, what it answers is there all the same.
            with contextlib.suppress(OSError):
                connection.send(upload)
            response = connection.getresponse()
            response.read()
            status = response.status
        except (OSError, http.client.HTTPException):
            status = 0
        finally:
            connection.close()
        return Answer(status, time.perf_counter() - start)

    def gauge(self, name: str) -> int:
        """Return one of the figures that the server counts."""
        connection = self.connect()
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        found = re.search(rf"^bytecover_{name} (\S+)$", text, re.M)
        if not found:
            raise RuntimeError(f"the server counts no {name}")
        return round(float(found[1]))

    @property
    def memory(self) -> int:
        """Bytes that the server and its workers hold."""
        return memory_of(family_of(self._process.pid))

    @property
    def workers(self) -> list[int]:
        """The ids of its workers."""
        return [
            pid
            for pid in family_of(self._process.pid)[1:]
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]

    @property
    def uploads(self) -> int:
        """How many uploads it keeps."""
        return len(list(self._folder.glob("bytecover-*")))


@contextlib.contextmanager
def started(catalogue: Path, workers: int) -> Iterator[Server]:
    """Start a server on a free port of this machine; stop it at the end."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "bytecover_tf.serve", "--port", "0"),
            *("--catalogue", str(catalogue), "--workers", str(workers)),
            *("--max-waiting", str(WAITING)),
        ]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": folder},
        )
        with process:
            try:
                server = Server(process, Path(folder))
                wait_until(lambda: server.gauge("workers_ready") == workers)
                yield server
            finally:
                process.terminate()
                try:
                    process.wait(60)
                finally:
                    process.kill()


def begin_upload(connection: http.client.HTTPConnection, size: int) -> None:
    """Send the head of a request that identifies an upload."""
    connection.putrequest("POST", "/api/identify")
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    connection.putheader("Content-Type", kind)
    connection.putheader("Content-Length", str(size))
    connection.endheaders()


def form(path: Path) -> bytes:
    """Return a form that uploads a file."""
    head = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        f'name="file"; filename="{path.name}"\r\n\r\n'
    )
    return head.encode() + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def wait_until(is_so: Callable[[], bool]) -> float:
    """Wait until something is so; return after how many seconds.

    Raises:
        RuntimeError: it takes longer than `LIMIT`.
    """
    start = time.perf_counter()
    while not is_so():
        if time.perf_counter() - start > LIMIT:
            raise RuntimeError(f"nothing came of it in {LIMIT:.0f} s")
        time.sleep(0.05)
    return time.perf_counter() - start


def ask_together(
    server: Server,
    uploads: Sequence[bytes],
    clients: int,
    seconds: float = LIMIT,
    rounds: int | None = None,
) -> tuple[list[Answer], float]:
    """Have clients ask at once, each one request after another.

    Args:
        server: what they ask.
        uploads: what they send, in turn.
        clients: how many.
        seconds: after which no request is begun.
        rounds: the most requests of each; None for no bound.

    Returns:
        All answers, and how many seconds they took together.
    """
    begin = threading.Barrier(clients)
    start = time.perf_counter()

    def ask(number: int) -> list[Answer]:
        begin.wait()
        found: list[Answer] = []
        while time.perf_counter() - start < seconds and len(found) != rounds:
            upload = uploads[(number + clients * len(found)) % len(uploads)]
            found.append(server.identify(upload))
        return found

    with ThreadPoolExecutor(clients) as threads:
        answers = [one for found in threads.map(ask, range(clients)) for one in found]
    return answers, time.perf_counter() - start


def loaded(server: Server, uploads: Sequence[bytes], seconds: float) -> str:
    """Return a table of throughput and latency by number of clients."""
    rows = []
    for clients in CLIENTS:
        answers, took = ask_together(server, uploads, clients, seconds)
        done = [one.seconds for one in answers if one.status == 200]
        middle = np.quantile(done, (0.5, 0.95, 0.99))
        rows.append(
            [
                str(clients),
                str(len(answers)),
                _statuses(answers),
                f"{len(done) / took:.2f}",
                *(f"{value:.2f}" for value in middle),
            ]
        )
        print(*rows[-1], flush=True)
    header = ["clients", "requests", "answers", "done a second"]
    return table([*header, "p50 s", "p95 s", "p99 s"], rows)


def overloaded(server: Server, uploads: Sequence[bytes], places: int) -> str:
    """Return what becomes of ten times the requests that there are places for."""
    before = server.memory
    peaks = [before]
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.2):
            peaks.append(server.memory)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        clients = OVERLOAD * places
        answers, took = ask_together(server, uploads, clients, rounds=ROUNDS)
    finally:
        is_over.set()
        watcher.join()
    after = server.memory
    done = [one.seconds for one in answers if one.status == 200]
    refused = [one.seconds for one in answers if one.status == 429]
    return (
        f"{clients} clients at once, ten times the {places} places, asked {ROUNDS} "
        f"times each: {_statuses(answers)}, in {took:.0f} s. An answer took "
        f"{np.median(done):.1f} s in the median and {max(done):.1f} s at most; a "
        f"refusal {_median(refused)} in the median. "
        f"Memory of the server and its workers: {before / _MIB:.0f} MiB before, "
        f"{max(peaks) / _MIB:.0f} at most, {after / _MIB:.0f} after."
    )


def vanished(server: Server, uploads: Sequence[bytes], places: int) -> str:
    """Return what clients leave behind that vanish in the middle of an upload."""
    before = server.memory
    connections = []
    for number in range(places):
        upload = uploads[number % len(uploads)]
        connection = server.connect()
        begin_upload(connection, len(upload))
        connection.send(upload[: len(upload) // 2])
        connections.append(connection)
    wait_until(lambda: server.uploads == places)
    meanwhile = server.identify(uploads[0])
    for connection in connections:
        connection.close()
    seconds = wait_until(lambda: server.uploads == 0)
    # A place that was lost would be missed now.
    answers, _ = ask_together(server, uploads, places, rounds=1)
    return (
        f"{places} clients, as many as there are places, sent half of a file; one more "
        f"request then got {meanwhile.status}. They closed their connections, and "
        f"{seconds:.1f} s later no upload was kept. {places} requests at once then got "
        f"{_statuses(answers)}. Memory went from {before / _MIB:.0f} to "
        f"{server.memory / _MIB:.0f} MiB."
    )


def killed(server: Server, uploads: Sequence[bytes], workers: int) -> str:
    """Return what clients see when all workers are killed at their requests."""
    answers: list[Answer] = []
    rests = []
    clients = CLIENTS_A_WORKER * workers
    with ThreadPoolExecutor(clients) as threads:
        for _ in range(KILLS):
            asked = [
                threads.submit(server.identify, uploads[number % len(uploads)])
                for number in range(clients)
            ]
            wait_until(
                lambda: (
                    server.gauge("workers_busy") == workers
                    and server.gauge("waiting") >= workers
                )
            )
            for pid in server.workers:
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: server.gauge("workers_ready") < workers)
            rests.append(wait_until(lambda: server.gauge("workers_ready") == workers))
            answers += [one.result() for one in asked]
    return (
        f"All {workers} workers were killed {KILLS} times, each at a request, with as "
        f"many more requests waiting at least. The {clients} clients of each time got "
        f"{_statuses(answers)} in all, after at most "
        f"{max(one.seconds for one in answers):.1f} s. All workers were ready again "
        f"after {np.median(rests):.1f} s in the median, {max(rests):.1f} s at most."
    )


def _statuses(answers: Sequence[Answer]) -> str:
    counts = Counter(one.status for one in answers)
    return ", ".join(
        f"{number} x {status or 'no answer'}"
        for status, number in sorted(counts.items())
    )


def _median(seconds: Sequence[float]) -> str:
    return f"{np.median(seconds):.2f} s" if seconds else "-"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--music", type=Path, metavar="DIR", help="recordings to use")
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="for each number of clients"
    )
    parser.add_argument("--workers", type=int, default=2, help="of the server")
    options = parser.parse_args(arguments)

    from bytecover_tf.data.files import recordings
    from bytecover_tf.data.tunes import audio_files

    files = recordings(options.music) if options.music else audio_files()
    asked = files[3::4]
    uploads = [form(path) for path in asked]
    busy = os.getloadavg()[0]
    places = options.workers + WAITING
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Path(folder) / "load.catalogue"
        kept = [path for path in files if path not in asked]
        fill_catalogue(catalogue, kept)
        with started(catalogue, options.workers) as server:
            ask_together(server, uploads, options.workers, rounds=1)
            parts = [
                loaded(server, uploads, options.seconds),
                "**Overload.** " + overloaded(server, uploads, places),
                "**Clients that vanish.** " + vanished(server, uploads, places),
                "**Workers killed.** " + killed(server, uploads, options.workers),
            ]
    sizes = [len(upload) / _MIB for upload in uploads]
    body = (
        f"{options.workers} workers and {WAITING} requests that may wait; a catalogue "
        f"of {len(kept)} recordings; uploads of {min(sizes):.1f} to {max(sizes):.1f} "
        f"MiB, {np.mean(sizes):.1f} in the mean. Clients and server share the cores, "
        f"on which {busy:.1f} other processes were at work.\n\n" + "\n\n".join(parts)
    )
    command = command_of("speed.load", parser, options)
    write_section("server", "Load", command, body)


if __name__ == "__main__":
    main()
