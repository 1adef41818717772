"""How each system that `benchmarks.systems.search` compares is built and searched.

A system is built once, by one process, and then opened by another one, so that what
building leaves in memory does not count.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.processes import free_ports
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogues import (
    Catalogue,
    Identity,
    Recording,
    Row,
    lance,
    open_catalogue,
)

TOP = 10
# Recordings that `index` writes at once.
BATCH = 16
# Four minutes, a usual length.
SECONDS = 240.0
_CHROMA_FRAMES = 517
_TABLE = "recordings"
# Where the etcd inside Milvus listens, whatever else is configured.
_ETCD_PORT = 2380


class System(ABC):
    """Something that finds the vectors nearest to a query.

    Args:
        place: a folder of its own, or the address of a collection.
        dim: size of a vector.
    """

    def __init__(self, place: str, dim: int) -> None:
        self.place = place
        self.dim = dim

    @abstractmethod
    def build(self, blocks: Iterable[np.ndarray]) -> float | None:
        """Store vectors (n, dim), and make them ready to be searched.

        Returns:
            Of a catalogue, the seconds that adding `BATCH` more recordings took.
        """

    @abstractmethod
    def open(self) -> None:
        """Make ready to search what was built."""

    @abstractmethod
    def search(self, queries: np.ndarray) -> np.ndarray:
        """Return the numbers of the nearest vectors: (queries, `TOP`)."""


# -- catalogues --------------------------------------------------------------------


class InCatalogue(System):
    """A catalogue as users have it, with an approximate index."""

    def build(self, blocks: Iterable[np.ndarray]) -> float | None:
        """Add a recording for each vector, then put the catalogue in order."""
        with open_catalogue(self.place, identity(self.dim), create=True) as catalogue:
            for rows in recordings(blocks):
                catalogue.add(rows)
            start = time.perf_counter()
            catalogue.add(rows[:BATCH])  # replaces them, which is the same work
            elapsed = time.perf_counter() - start
            self._finish(catalogue)
        return elapsed

    def _finish(self, catalogue: Catalogue) -> None:
        catalogue.optimize(exact_rows=0)

    def open(self) -> None:
        """Open the catalogue."""
        self._catalogue = open_catalogue(self.place)

    def search(self, queries: np.ndarray) -> np.ndarray:
        """Return the numbers of the nearest recordings."""
        found = self._catalogue.search(queries, TOP)
        return np.array([[int(hit.recording.id, 16) for hit in hits] for hits in found])

    def read_chroma(self, numbers: Sequence[int]) -> None:
        """Read what alignment needs of some recordings."""
        found = self._catalogue.chroma([recording_id(number) for number in numbers])
        assert len(found) == len(numbers)


class InExactCatalogue(InCatalogue):
    """A catalogue in a folder that compares a query with all of its rows."""

    def _finish(self, catalogue: Any) -> None:
        catalogue.optimize(exact_rows=2**62)
        # Files of older versions, which are kept for an hour.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="optimize")
            catalogue._table.optimize(
                cleanup_older_than=timedelta(0), delete_unverified=True
            )


class IndexedCopy(InCatalogue):
    """A copy of the exact catalogue in a folder, with an index added.

    Args:
        place: a folder.
        dim: size of a vector.
        source: folder of the exact catalogue.
    """

    def __init__(self, place: str, dim: int, source: str) -> None:
        super().__init__(place, dim)
        self._source = source

    def build(self, blocks: Iterable[np.ndarray]) -> float | None:
        """Link the exact catalogue's files, which never change, and index them."""
        shutil.copytree(self._source, self.place, copy_function=os.link)
        with open_catalogue(self.place) as catalogue:
            self._finish(catalogue)
        return None


class LanceTable(System):
    """The table of a catalogue in a folder, asked for row numbers alone."""

    def build(self, blocks: Iterable[np.ndarray]) -> float | None:
        """Refuse: the table is built as a catalogue."""
        raise NotImplementedError

    def open(self) -> None:
        """Open the table."""
        import lancedb

        self._table: Any = lancedb.connect(self.place).open_table(_TABLE)
        with open_catalogue(self.place) as catalogue:
            assert isinstance(catalogue, lance.LanceCatalogue)
            self._partitions = catalogue._partitions

    def search(self, queries: np.ndarray) -> np.ndarray:
        """Search as the catalogue does, without the columns that it reads."""
        found = (
            self._table.search(list(queries), vector_column_name="embedding")
            .distance_type("cosine")
            .select(["id", "_distance"])
            .limit(TOP)
            .nprobes(self._partitions)
            .refine_factor(lance._REFINE)
        )
        numbers: list[list[int]] = [[] for _ in queries]
        for values in found.to_arrow().sort_by("_distance").to_pylist():
            numbers[values.get("query_index", 0)].append(int(values["id"], 16))
        return np.array(numbers)


def identity(dim: int) -> Identity:
    """Return what a catalogue of vectors without an encoder says of itself."""
    return Identity("none", Frontend(), dim)


def recordings(blocks: Iterable[np.ndarray]) -> Iterator[list[Row]]:
    """Yield rows as `index` makes them of four-minute recordings, block by block."""
    number = 0
    for block in blocks:
        rng = np.random.default_rng(number)
        chroma = rng.integers(0, 256, (len(block), 12, _CHROMA_FRAMES), np.uint8)
        rows = []
        for embedding, frames in zip(block, chroma, strict=True):
            rows.append(Row(made_up(number, rng), 0, 0.0, SECONDS, embedding, frames))
            number += 1
        yield rows


def recording_id(number: int) -> str:
    """Return the id of a made-up recording."""
    return f"{number:016x}"


def made_up(
    number: int, rng: np.random.Generator, duration: float = SECONDS
) -> Recording:
    """Return a recording with tags, whose file does not exist."""
    return Recording(
        id=recording_id(number),
        work=recording_id(number),
        title=f"A title of some length, number {number}",
        artist=f"The {number % 1000} performers",
        album=f"An album, number {number // 12}",
        path=f"/music/The {number % 1000} performers/{number // 12}/{number}.flac",
        duration=duration,
        content=rng.bytes(32).hex(),
        size=25_000_000 + number,
        mtime_ns=1_700_000_000_000_000_000 + number,
    )


# -- FAISS, the yardstick ----------------------------------------------------------


class FaissFlat(System):
    """Comparison with all vectors, in memory."""

    def build(self, blocks: Iterable[np.ndarray]) -> float | None:
        """Write the index to a file."""
        import faiss

        index = self._empty()
        for block in blocks:
            index.add(block)
        Path(self.place).mkdir()
        faiss.write_index(index, self._file)
        return None

    @property
    def _file(self) -> str:
        return f"{self.place}/index.faiss"

    def _empty(self) -> Any:
        import faiss

        return faiss.IndexFlatIP(self.dim)

    def open(self) -> None:
        """Read the index into memory."""
        import faiss

        self._index = faiss.read_index(self._file)

    def search(self, queries: np.ndarray) -> np.ndarray:
        """Return the numbers of the nearest vectors."""
        return self._index.search(queries, TOP)[1]


class FaissHnsw(FaissFlat):
    """A graph over all vectors, in memory; `effort` trades recall for speed."""

    def _empty(self) -> Any:
        import faiss

        index: Any = faiss.IndexHNSWFlat(self.dim, 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 200
        return index

    def set_effort(self, effort: int) -> None:
        """Set how many candidates a search keeps."""
        self._index.hnsw.efSearch = effort


# -- Milvus ------------------------------------------------------------------------


@contextmanager
def milvus_server(folder: Path) -> Iterator[tuple[str, int]]:
    """Start the server of the PyPI package `milvus` on free ports.

    Args:
        folder: where it keeps its data.

    Yields:
        Its `host:port`, and the id of its process.

    Raises:
        RuntimeError: another one runs on this machine.
    """
    from milvus import MilvusServer, MilvusServerConfig

    with socket.socket() as probe:
        if not probe.connect_ex(("127.0.0.1", _ETCD_PORT)):
            raise RuntimeError(
                f"port {_ETCD_PORT} is taken, perhaps by another Milvus server; stop "
                "it, or name it by --milvus"
            )
    config = MilvusServerConfig()
    names = [name for name in config.configurable_items if name.endswith("_port")]
    *ports, web = free_ports(len(names) + 1)
    server = MilvusServer(config, data_dir=str(folder))
    server.config.update(**dict(zip(names, ports, strict=True)))
    server.webservice_port = web
    try:
        server.start()
        yield f"127.0.0.1:{server.listen_port}", server.server_proc.pid
    finally:
        if server.server_proc is not None:
            # Nothing of it is kept, and `stop` alone waits too short for its end.
            server.server_proc.kill()
            server.server_proc.wait()
        server.stop()
