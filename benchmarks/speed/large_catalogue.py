"""What does `identify` take in a catalogue of up to a million recordings?

    python -m benchmarks.speed.large_catalogue --music DIR [--work-dir DIR]
        [--sizes 10000,100000,1000000] [--encoder NAME] [--seconds 240] [--runs 10]
        [--milvus]

Puts recordings of DIR into a catalogue, fills that with made-up ones to one size after
another, and at each size runs the command `identify` as a user does. Then it adds 1,000
recordings, and compares some recordings with their neighbours as `group` does. A
recording of four minutes takes 21 kB with the embedding and chroma of `bytecover-base`,
so a million of them take 21 GB, which are removed in the end. On two cores they take an
hour and a half.
With `--milvus` the catalogue is on a server of the PyPI package `milvus`, which is
started for this.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.common.made_up_chroma import MadeUpChroma
from benchmarks.common.processes import Ran, measured, run_command
from benchmarks.common.report import command_of, table, write_section
from benchmarks.common.staged import STAGES, segments
from benchmarks.common.vectors import LIKENESS, VERSIONS, made_up_works
from benchmarks.systems.search import disk, memory
from benchmarks.systems.search_systems import BATCH, made_up, milvus_server
from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.catalogues import Catalogue, Row, open_catalogue
from bytecover_tf.catalogues.catalogue import EXACT_ROWS
from bytecover_tf.catalogues.indexing import index_files
from bytecover_tf.data.files import recordings
from bytecover_tf.encoders.encoder import Encoder

# Recordings of the folder that are asked for, and others whose chroma is joined to that
# of made-up ones.
ASKED, SOURCES = 10, 10
QUERY_SECONDS = 180.0
ADDED = 1000
# Runs of the command with each stage noted, and recordings that are compared.
STAGED, COMPARED = 5, 10
_BLOCK = 10_000
_MB, _GB = 1e6, 1e9


# -- what runs in a process of its own ---------------------------------------------


def start(address: str, paths: Sequence[Path], encoder: str) -> None:
    """Put the real recordings into a new catalogue."""
    from benchmarks.common.library import fill_catalogue

    fill_catalogue(address, paths, encoder)


def fill(
    address: str, sources: Sequence[str], first: int, last: int, seconds: float
) -> dict[str, float]:
    """Add made-up recordings of some numbers, many at a time, and tidy up.

    Returns:
        Seconds by what was done.
    """
    with open_catalogue(address) as catalogue:
        music = _music(catalogue, sources, seconds)
        clock = time.perf_counter()
        for start in range(first, last, _BLOCK):
            count = min(_BLOCK, last - start)
            catalogue.add(list(_rows(catalogue, music, start, count)))
            print(f"{start + count:,}", end=" ", flush=True)
        filled = time.perf_counter()
        quality = catalogue.optimize()
        print(f"filled to {catalogue.count():,}: {quality}", flush=True)
    return {"fill": filled - clock, "optimize": time.perf_counter() - filled}


def add(
    address: str, sources: Sequence[str], first: int, last: int, seconds: float
) -> dict[str, float]:
    """Add made-up recordings of some numbers as `index` does, but for reading files.

    Returns:
        Seconds by what was done.
    """
    with open_catalogue(address) as catalogue:
        music = _music(catalogue, sources, seconds)
        clock = time.perf_counter()
        index_files(catalogue, _no_encoder, sources)
        known = time.perf_counter()
        spent = []
        for start in range(first, last, BATCH):
            count = min(BATCH, last - start)
            rows = list(_rows(catalogue, music, start, count))
            begin = time.perf_counter()
            catalogue.add(rows)
            spent.append(time.perf_counter() - begin)
        tidy = time.perf_counter()
        catalogue.optimize()
        done = time.perf_counter()
    return {
        "known": known - clock,
        "add": sum(spent),
        "optimize": done - tidy,
    }


def _no_encoder() -> Encoder:
    raise AssertionError("nothing is new")


def compare(address: str, count: int) -> dict[str, float]:
    """Compare some recordings with their neighbours, as `group` does.

    Returns:
        The seconds of reading what is known of all, and the median of those of one.
    """
    from bytecover_tf.matching.calibration import calibration_for
    from bytecover_tf.matching.grouping import compared_pairs
    from bytecover_tf.matching.identification import CANDIDATES

    with open_catalogue(address) as catalogue:
        calibration = calibration_for(catalogue.identity)
        clock = time.perf_counter()
        known = {recording.id: recording for recording in catalogue.recordings()}
        read = time.perf_counter() - clock
        # When the first link of each recording came.
        times: dict[str, float] = {}
        for link in compared_pairs(catalogue, calibration, known, CANDIDATES, None):
            times.setdefault(link.recording.id, time.perf_counter())
            if len(times) > count:
                break
    spent = [after - before for before, after in pairwise(times.values())]
    return {"known": read, "compare": float(np.median(spent))}


def _music(
    catalogue: Catalogue, sources: Sequence[str], seconds: float
) -> MadeUpChroma:
    """Return what makes chroma from that of some recordings of a catalogue."""
    ids = {one.id for one in catalogue.recordings() if one.path in set(sources)}
    frames = round(seconds / seconds_per_frame(catalogue.identity.frontend))
    return MadeUpChroma(list(catalogue.chroma(sorted(ids)).values()), frames)


def _rows(
    catalogue: Catalogue, music: MadeUpChroma, first: int, count: int
) -> Iterator[Row]:
    """Yield made-up recordings, numbered from `first` on."""
    frame = seconds_per_frame(catalogue.identity.frontend)
    rng = np.random.default_rng(first)
    works, _, embeddings = made_up_works(count, catalogue.identity.dim, rng)
    current, work = -1, np.empty((2, 0), int)
    for number, (label, embedding) in enumerate(zip(works, embeddings, strict=True)):
        if label != current:
            current, work = label, music.work(rng)
        chroma = music.version(work, rng)
        seconds = chroma.shape[1] * frame
        recording = made_up(first + number, rng, seconds)
        yield Row(recording, 0, 0.0, seconds, embedding, chroma)


# -- measuring ---------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where the catalogue is.

    Attributes:
        address: what opens it.
        folder: of its files.
        server: process id of the server that has it, if it is on one.
    """

    address: str
    folder: Path
    server: int | None = None


@contextmanager
def placed(folder: Path, on_milvus: bool) -> Iterator[Place]:
    """Yield the place for a new catalogue, and start the server that it needs."""
    if not on_milvus:
        yield Place(str(folder / "catalogue"), folder / "catalogue")
        return
    data = folder / "milvus"
    with milvus_server(data) as (server, pid):
        yield Place(f"milvus://{server}/large", data, pid)


@dataclass
class Size:
    """What was measured in a catalogue of some size.

    Attributes:
        rows: recordings in the catalogue.
        disk: bytes of its files.
        filled: seconds of filling, as `fill` returns them.
        runs: of the command.
        found: in how many the first match is the recording that was asked for.
        stages: of runs with each stage noted, seconds by stage.
        server: bytes of memory of the server after these runs, if there is one.
        added: as `add` returns it, what it wrote, and the peak of memory.
        compared: as `compare` returns it, and the peak of memory.
    """

    rows: int
    disk: int = 0
    filled: dict[str, float] = field(default_factory=dict)
    runs: list[Ran] = field(default_factory=list)
    found: int = 0
    stages: list[dict[str, float]] = field(default_factory=list)
    server: int | None = None
    added: dict[str, float] = field(default_factory=dict)
    compared: dict[str, float] = field(default_factory=dict)

    def stage(self, name: str) -> float:
        """Median of the seconds of a stage."""
        return float(np.median([one[name] for one in self.stages]))


def ask(address: str, queries: dict[Path, str], runs: int, size: Size) -> None:
    """Run the command on one query after another, first once to fill the caches.

    Args:
        address: of the catalogue.
        queries: the path of the recording that should be found, by query.
        runs: how many.
        size: takes the result.
    """
    asked = [*queries][:runs]
    for turn, query in enumerate([asked[0], *asked]):
        ran = run_command(_command("bytecover_tf.identify", address, query))
        if turn:
            size.runs.append(ran)
            matches = json.loads(ran.output)["matches"]
            size.found += bool(matches) and matches[0]["recording"] == queries[query]


def ask_staged(
    address: str, queries: dict[Path, str], runs: int, folder: Path, size: Size
) -> None:
    """Run the command with each stage noted."""
    for query in [*queries][:runs]:
        notes = folder / "notes.json"
        command = _command("benchmarks.common.staged", address, query, str(notes))
        ran = run_command(command)
        spans = json.loads(notes.read_text())
        size.stages.append(segments(spans, ran.start, ran.start + ran.seconds))


def _command(module: str, address: str, query: Path, *before: str) -> list[str]:
    question = ("--catalogue", address, "--json", str(query))
    return [sys.executable, "-m", module, *before, *question]


def make_queries(paths: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Return queries by file, each part of a recording as mp3, with its path."""
    from benchmarks.speed.end_to_end import FORMAT, make_track

    queries = {}
    for number, path in enumerate(paths):
        query = folder / f"query-{number}.mp3"
        make_track(path, query, QUERY_SECONDS, *FORMAT)
        queries[query] = str(path.absolute())
    return queries


def measure(
    sizes: Sequence[int], place: Place, folder: Path, options: argparse.Namespace
) -> Iterator[Size]:
    """Yield what was measured at each size of a growing catalogue."""
    paths = choose(options.music)
    address = place.address
    queries = make_queries(paths[:ASKED], folder)
    measured(start, address, paths, options.encoder)
    sources = [str(path.absolute()) for path in paths[ASKED:]]
    count, made = len(paths), 0
    for rows in sizes:
        size = Size(rows)
        made_to = made + rows - count
        filled = measured(fill, address, sources, made, made_to, options.seconds)
        size.filled = filled.result
        size.disk = disk(place.folder)
        ask(address, queries, options.runs, size)
        ask_staged(address, queries, min(STAGED, options.runs), folder, size)
        size.server = memory(place.server) if place.server else None
        compared = measured(compare, address, options.compared)
        size.compared = {**compared.result, "peak": compared.peak}
        made, before = made_to + ADDED, disk(place.folder)
        added = measured(add, address, sources, made_to, made, options.seconds)
        written = disk(place.folder) - before
        size.added = {**added.result, "written": written, "peak": added.peak}
        count = rows + ADDED
        yield size


def choose(music: Path) -> list[Path]:
    """Return recordings of at least a minute of a folder, those to ask for first."""
    found: list[Path] = []
    for path in recordings(music):
        if len(load_audio(path, 8000)) >= 60 * 8000:
            found.append(path)
        if len(found) == ASKED + SOURCES:
            return found
    sys.exit(f"{music}: expected {ASKED + SOURCES} recordings of a minute or more")


# -- the report --------------------------------------------------------------------


def report(sizes: Sequence[Size], options: argparse.Namespace) -> str:
    """Return the section's text."""
    first = sizes[0]
    asked = []
    for size in sizes:
        p50, p95 = np.percentile([ran.seconds for ran in size.runs], [50, 95])
        peak = max(ran.peak for ran in size.runs)
        asked.append(
            [
                f"{size.rows:,}",
                f"{size.disk / _GB:.2f}",
                f"{p50:.2f} / {p95:.2f}",
                f"{peak / _MB:,.0f}",
                f"{size.found} of {len(size.runs)}",
                *([f"{size.server / _MB:,.0f}"] if size.server else []),
            ]
        )
    shares = [
        [
            name,
            *(f"{1e3 * size.stage(name):,.0f}" for size in sizes),
            f"{sizes[-1].stage(name) / first.stage(name):.1f}",
        ]
        for name in STAGES
    ]
    changes = [
        [
            f"{size.rows:,}",
            f"{size.filled['fill']:,.0f}",
            f"{size.filled['optimize']:,.0f}",
            *(f"{size.added[name]:.1f}" for name in ("known", "add", "optimize")),
            f"{size.added['written'] / _MB:,.0f}",
            f"{size.added['peak'] / _MB:,.0f}",
        ]
        for size in sizes
    ]
    groups = [
        [
            f"{size.rows:,}",
            f"{size.compared['known']:.2f}",
            f"{1e3 * size.compared['compare']:,.0f}",
            f"{size.rows * size.compared['compare'] / 3600:,.1f}",
            f"{size.compared['peak'] / _MB:,.0f}",
        ]
        for size in sizes
    ]
    number = "recordings"
    where = "on a Milvus server of this machine" if first.server else "in a folder"
    return "\n\n".join(
        [
            f"A catalogue of {options.encoder} {where} with {ASKED + SOURCES} real "
            f"recordings; the others are made up, of {options.seconds:g} s on average, "
            "with chroma of all parts as `index` keeps it. Their embeddings are those "
            f"of the searches above: works of {VERSIONS} versions on average, at a "
            f"cosine of {LIKENESS[0]} to {LIKENESS[1]} to their centre. Their chroma "
            f"is joined from stretches of that of {SOURCES} real ones, alike in "
            "versions of a work. The catalogue grows from one size to the next, "
            f"{_BLOCK:,} at a time, and has an approximate index where there are more "
            f"than {EXACT_ROWS:,} rows. {options.note}".strip(),
            f"`identify` as a process of its own, {len(first.runs)} runs after one "
            f"that fills the caches, each on another mp3 of {QUERY_SECONDS:.0f} s of a "
            "real recording in the catalogue:",
            table(
                [
                    *(number, "disk GB", "p50 / p95 s", "peak MB", "found"),
                    *(["server MB"] if first.server else []),
                ],
                asked,
            ),
            f"Where the time goes, median milliseconds of {len(first.stages)} further "
            "processes that note when each function begins and ends. Opening imports "
            "the libraries, opens catalogue and encoder and counts the recordings; "
            "`end` is that of the process, after its answer.",
            table(
                [
                    "",
                    *(f"{size.rows:,}" for size in sizes),
                    "last / first",
                ],
                shares,
            ),
            f"Adding {ADDED:,} recordings as `index` does, {BATCH} at a time, but for "
            "reading and embedding them, which takes the same in every catalogue. "
            "`known` is the time to read what the catalogue has, `written` the growth "
            "of its folder.",
            table(
                [
                    *(number, "to fill s", "to index s", "known s", "add s"),
                    *("optimize s", "written MB", "peak MB"),
                ],
                changes,
            ),
            "`group` compares each recording with its 100 nearest by the search "
            f"index; here {options.compared} recordings of each size, from which the "
            "hours of all are computed. No pair is compared twice, so the whole takes "
            "less.",
            table(
                [number, "known s", "ms a recording", "hours, computed", "peak MB"],
                groups,
            ),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--music", type=Path, required=True, help="folder with 20 recordings or more"
    )
    parser.add_argument(
        "--sizes", default="10000,100000,1000000", help="numbers of recordings, rising"
    )
    parser.add_argument("--encoder", default="bytecover-base")
    parser.add_argument(
        "--seconds", type=float, default=240, help="mean length of a made-up recording"
    )
    parser.add_argument("--runs", type=int, default=ASKED)
    parser.add_argument(
        "--compared", type=int, default=COMPARED, help="recordings to compare"
    )
    parser.add_argument("--work-dir", type=Path, help="folder for the catalogue")
    parser.add_argument(
        "--note", default="", help="a sentence about the conditions, for the report"
    )
    parser.add_argument(
        "--milvus", action="store_true", help="put the catalogue on a Milvus server"
    )
    options = parser.parse_args(arguments)
    sizes = [int(size) for size in options.sizes.split(",")]
    with (
        tempfile.TemporaryDirectory(dir=options.work_dir) as folder,
        placed(Path(folder), options.milvus) as place,
    ):
        done: list[Size] = []
        for size in measure(sizes, place, Path(folder), options):
            done.append(size)
            print(size, flush=True)
            # Should a larger size fail, this much is there.
            so_far = ",".join(str(one.rows) for one in done)
            measured_so_far = argparse.Namespace(**{**vars(options), "sizes": so_far})
            write_section(
                "search",
                "Identify in large catalogues" + (" on Milvus" * options.milvus),
                command_of(
                    "speed.large_catalogue",
                    parser,
                    measured_so_far,
                    ["work_dir", "note"],
                ),
                report(done, options),
            )


if __name__ == "__main__":
    main()
