"""How fast is a catalogue's search, and what does it take, beside FAISS in memory?

    python -m benchmarks.systems.search [--sizes 10000,100000] [--dim 256]
        [--start-milvus]

Fills a LanceDB and a Milvus catalogue and FAISS indexes with the same made-up
embeddings, each system in a process of its own. Then all are open at once and take
turns, so that whatever else the machine does falls on all alike. A million recordings
of 256 values take half an hour on two cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.common.report import command_of, table, write_section
from benchmarks.common.vectors import LIKENESS, VERSIONS, read_vectors, write_vectors
from benchmarks.common.workers import Worker
from benchmarks.systems.search_systems import (
    BATCH,
    TOP,
    FaissFlat,
    FaissHnsw,
    InCatalogue,
    IndexedCopy,
    InExactCatalogue,
    LanceTable,
    System,
    milvus_server,
)

QUERIES = 200
# With so many `identify` aligns a query of four minutes.
CANDIDATES = 100
ROUNDS = 10
# Seconds that one system may take of a round.
TURN = 5.0
# Of which the least that finds as much as the catalogue is chosen for FAISS HNSW.
EFFORTS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096)

EXACT, INDEXED = "LanceDB exact, catalogue", "LanceDB indexed, catalogue"
EXACT_TABLE, INDEXED_TABLE = "LanceDB exact, table", "LanceDB indexed, table"
MILVUS, FLAT, HNSW = "Milvus, catalogue", "FAISS flat", "FAISS HNSW"

COLLECTION = "benchmark"
_MB = 1e6


# -- one process a system ----------------------------------------------------------


def build(system: System, vectors: Path) -> tuple[float, float | None]:
    """Return the seconds of building, and of adding a batch."""
    start = time.perf_counter()
    to_add = system.build(read_vectors(vectors, system.dim))
    return time.perf_counter() - start, to_add


def ask(system: System, queries: np.ndarray, limit: float) -> tuple[np.ndarray, list]:
    """Ask one query after the other for at most some seconds, three at least.

    Returns:
        The numbers found (asked, `TOP`), and the seconds of each.
    """
    found: list[np.ndarray] = []
    seconds: list[float] = []
    for query in queries:
        start = time.perf_counter()
        found.append(system.search(query[None])[0])
        seconds.append(time.perf_counter() - start)
        if len(seconds) >= 3 and sum(seconds) > limit:
            break
    return np.stack(found), seconds


def ask_together(system: System, queries: np.ndarray) -> float:
    """Return the seconds of searching for all queries by one call."""
    start = time.perf_counter()
    system.search(queries)
    return time.perf_counter() - start


def read_chroma(system: InCatalogue, rows: int, seed: int) -> float:
    """Return the seconds of reading what `CANDIDATES` alignments need."""
    numbers = np.random.default_rng(seed).choice(rows, CANDIDATES, replace=False)
    start = time.perf_counter()
    system.read_chroma(numbers.tolist())
    return time.perf_counter() - start


def memory(pid: int, peak: bool = False) -> int:
    """Return the bytes of memory of a process, now or at its peak."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(wanted):
            return 1024 * int(line.split()[1])
    raise ValueError(f"process {pid}: no {wanted}")


def disk(folder: str | Path) -> int:
    """Return the bytes of the files in a folder."""
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


# -- measuring ---------------------------------------------------------------------


@dataclass
class Measured:
    """What was measured of a system; bytes and seconds, None where it is shared."""

    build: float | None = None
    add: float | None = None
    disk: int | None = None
    build_memory: int | None = None
    memory: int = 0
    seconds: list[float] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    found: list[np.ndarray] = field(default_factory=list)
    together: list[float] = field(default_factory=list)
    chroma: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """Median of the seconds of a query."""
        return float(np.median(self.seconds))

    def recall(self, truth: np.ndarray) -> float:
        """Return the share of the true nearest that was found."""
        return recall(np.concatenate(self.found), truth[self.asked])

    def cells(self, truth: np.ndarray) -> list[str]:
        """Return the table's cells."""
        p50, p95 = 1e3 * np.percentile(self.seconds, [50, 95])
        return [
            _or_nothing(self.build, 1),
            _or_nothing(self.add, 1e-3),
            _or_nothing(self.disk, _MB),
            _or_nothing(self.build_memory, _MB),
            f"{self.memory / _MB:,.0f}",
            f"{p50:,.1f} / {p95:,.1f}",
            f"{1 / np.median(self.together):,.0f}",
            f"{1e3 * np.median(self.chroma):,.0f}" if self.chroma else "",
            f"{self.recall(truth):.3f}",
        ]


def _or_nothing(value: float | None, unit: float) -> str:
    return "" if value is None else f"{value / unit:,.0f}"


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of the true nearest that was found, both (queries, `TOP`)."""
    hits = [len(set(a) & set(b)) for a, b in zip(found, truth, strict=True)]
    return sum(hits) / truth.size


@dataclass
class Plan:
    """What is compared.

    Attributes:
        built: systems to build, in order.
        asked: systems to search.
        servers: by system, the id of the server's process and its folder.
    """

    built: dict[str, System]
    asked: dict[str, System]
    servers: dict[str, tuple[int, Path]] = field(default_factory=dict)


@contextmanager
def planned(
    folder: Path, dim: int, milvus: str | None, start_milvus: bool
) -> Iterator[Plan]:
    """Name the systems, and start a Milvus server if that is wanted."""
    place = {name: str(folder / name) for name in (EXACT, INDEXED, FLAT, HNSW)}
    built: dict[str, System] = {
        FLAT: FaissFlat(place[FLAT], dim),
        EXACT: InExactCatalogue(place[EXACT], dim),
        INDEXED: IndexedCopy(place[INDEXED], dim, place[EXACT]),
        HNSW: FaissHnsw(place[HNSW], dim),
    }
    asked = {
        **built,
        EXACT_TABLE: LanceTable(place[EXACT], dim),
        INDEXED_TABLE: LanceTable(place[INDEXED], dim),
    }
    with ExitStack() as stack:
        plan = Plan(built, asked)
        if start_milvus:
            data = folder / "milvus"
            milvus, pid = stack.enter_context(milvus_server(data))
            plan.servers[MILVUS] = (pid, data)
        if milvus:
            system = InCatalogue(f"milvus://{milvus}/{COLLECTION}", dim)
            plan.built[MILVUS] = plan.asked[MILVUS] = system
        yield plan


def build_all(plan: Plan, vectors: Path) -> dict[str, Measured]:
    """Build each system by a process of its own."""
    results = {name: Measured() for name in plan.asked}
    for name, system in plan.built.items():
        result = results[name]
        with Worker(system) as worker:
            pid, data = plan.servers.get(name, (worker.pid, Path(system.place)))
            worker.do(_import)
            before = memory(pid)
            result.build, result.add = worker.do(build, vectors)
            result.build_memory = memory(pid, peak=True) - before
        if data.exists():  # a server elsewhere has its own
            result.disk = disk(data)
        print(f"built: {name}, {result.build:.0f} s", flush=True)
    return results


def ask_all(
    plan: Plan,
    results: dict[str, Measured],
    queries: np.ndarray,
    rows: int,
    rounds: int,
) -> tuple[np.ndarray, int]:
    """Ask all systems in turns; return the true nearest and FAISS HNSW's effort."""
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(system))
            for name, system in plan.asked.items()
        }
        before = {}
        for name, worker in workers.items():
            pid = plan.servers.get(name, (worker.pid, None))[0]
            worker.do(_import)
            before[name] = (pid, memory(pid) if name not in plan.servers else 0)
            worker.do(_open)
        truth = workers[FLAT].do(_search, queries)
        # Also fills the caches.
        found, _ = workers[INDEXED].do(ask, queries, np.inf)
        effort = _match(workers[HNSW], queries, truth, recall(found, truth))
        for share in np.array_split(np.arange(len(queries)), rounds):
            for name, worker in workers.items():
                found, seconds = worker.do(ask, queries[share], TURN)
                results[name].found.append(found)
                results[name].seconds += seconds
                results[name].asked += share[: len(seconds)].tolist()
        for turn in range(3):
            for name, worker in workers.items():
                if isinstance(plan.asked[name], InCatalogue):
                    spent = worker.do(read_chroma, rows, turn)
                    results[name].chroma.append(spent)
                count = int(np.clip(TURN / results[name].p50, 10, len(queries)))
                spent = worker.do(ask_together, queries[:count])
                results[name].together.append(spent / count)
        for name, (pid, earlier) in before.items():
            results[name].memory = memory(pid) - earlier
    return truth, effort


def _import(system: System) -> None:
    """Import what a system needs, which is not memory of its index."""
    import faiss  # noqa: F401
    import lancedb  # noqa: F401


def _open(system: System) -> None:
    system.open()


def _search(system: System, queries: np.ndarray) -> np.ndarray:
    return system.search(queries)


def _match(
    worker: Worker, queries: np.ndarray, truth: np.ndarray, wanted: float
) -> int:
    """Set and return the least effort that finds as much, or else the largest."""
    for effort in EFFORTS:
        worker.do(FaissHnsw.set_effort, effort)
        found, _ = worker.do(ask, queries, np.inf)
        if recall(found, truth) >= wanted:
            break
    return effort


# -- what fits, and the report -----------------------------------------------------


def shortage(rows: int, dim: int, with_milvus: bool, folder: Path) -> str | None:
    """Return what a size takes that the machine does not have, if anything.

    The factors are a little above what was measured at 10^6 x 256, and with Milvus at
    10^5 x 256.
    """
    vectors = 4 * rows * dim
    disk_needed = 6 * vectors + 8_000 * rows
    memory_needed = 5 * vectors + 500 * rows
    if with_milvus:
        disk_needed += 5 * vectors + 25_000 * rows
        memory_needed += 5 * vectors + 25_000 * rows
    for what, needed, free in (
        ("memory", memory_needed, _free_memory()),
        ("disk", disk_needed, shutil.disk_usage(folder).free),
    ):
        if needed > free:
            return f"needs {needed / 1e9:,.0f} GB of {what}, {free / 1e9:,.0f} GB free"
    return None


def _free_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    raise ValueError("/proc/meminfo: no MemAvailable")


HEADER = [
    "system",
    "build s",
    f"add {BATCH}, ms",
    "disk MB",
    "memory to build MB",
    "memory to search MB",
    "p50 / p95 ms",
    "queries/s",
    f"chroma of {CANDIDATES}, ms",
    f"recall@{TOP}",
]


def report(
    rows: int,
    dim: int,
    seed: int,
    results: dict[str, Measured],
    truth: np.ndarray,
    effort: int,
) -> str:
    """Return the section's text."""
    size = 4 * rows * dim
    lance, faiss = results[INDEXED], results[HNSW]
    names = {HNSW: f"{HNSW}, efSearch {effort}"}
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("lancedb", "faiss-cpu", "pymilvus")
    )
    return (
        f"{rows:,} recordings of four minutes, one embedding of {dim} float32 values "
        f"each ({size / _MB:,.0f} MB), with chroma of the transform alone and tags, "
        "added 10,000 at a time. The exact catalogue and table take as long to build "
        "as adding takes; of the indexed ones, which begin as their copies, what is "
        "listed is the index alone. "
        f"The embeddings are made up (seed {seed}): works of {VERSIONS} versions on "
        f"average, at a cosine of {LIKENESS[0]} to {LIKENESS[1]} to their centre, "
        f"whose components fall off; each of {len(truth)} queries is a further "
        f"version of a work. {versions}, on {os.cpu_count()} cores.\n\nA catalogue "
        "returns rows with all their tags; a table, the rows' ids alone. Every "
        "system has a process of its own; all are open during the search and take "
        "turns. Latency is measured with one query at a time, queries/s with one "
        "call for many. Memory is the growth of the process (or of the Milvus server "
        "with its caches) since its start, without files that the operating system "
        f"caches. `add {BATCH}` is one batch of `index` added to the full catalogue; "
        f"`chroma of {CANDIDATES}` is the data that the second stage reads for a "
        "query. FAISS HNSW (M 32, efConstruction 200) runs with the least effort "
        "that reaches the recall of the indexed catalogue, or with "
        f"{EFFORTS[-1]} if none does.\n\n"
        + table(
            HEADER,
            [
                [names.get(name, name), *result.cells(truth)]
                for name, result in results.items()
            ],
        )
        + f"\n\nThe indexed catalogue takes {lance.p50 / faiss.p50:.1f} times FAISS "
        f"HNSW's time, and {lance.memory / size:.2f} times the vectors' size in memory "
        f"(FAISS HNSW {faiss.memory / size:.2f})."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="10000,100000", help="numbers of recordings")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    server = parser.add_mutually_exclusive_group()
    server.add_argument(
        "--milvus", metavar="HOST:PORT", help="address of a running server"
    )
    server.add_argument("--start-milvus", action="store_true")
    parser.add_argument("--work-dir", type=Path, help="folder for the catalogues")
    parser.add_argument(
        "--quick", action="store_true", help="ask few queries and write no report"
    )
    options = parser.parse_args()
    if find_spec("faiss") is None:
        parser.error("FAISS is not installed; pip install '.[benchmark]'")
    with_milvus = bool(options.milvus or options.start_milvus)
    for rows in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory(dir=options.work_dir) as made:
            folder = Path(made)
            short = shortage(rows, options.dim, with_milvus, folder)
            if short:
                print(f"{rows:,} x {options.dim}: refused, {short}")
                continue
            vectors = folder / "vectors"
            count = 20 if options.quick else QUERIES
            queries = write_vectors(vectors, rows, options.dim, count, options.seed)
            with planned(
                folder, options.dim, options.milvus, options.start_milvus
            ) as plan:
                results = build_all(plan, vectors)
                truth, effort = ask_all(
                    plan, results, queries, rows, 2 if options.quick else ROUNDS
                )
        body = report(rows, options.dim, options.seed, results, truth, effort)
        if options.quick:
            print(body)
            continue
        given = {**vars(options), "sizes": rows, "start_milvus": with_milvus}
        command = command_of(
            "systems.search",
            parser,
            argparse.Namespace(**given),
            ["milvus", "work_dir", "quick"],
        )
        write_section("search", f"Search among {rows:,} x {options.dim}", command, body)


if __name__ == "__main__":
    main()
