"""A catalogue in a folder: one LanceDB table, no server.

    recordings.lance    the rows; the identity is in the table's schema
    lock                held by a process while it writes
    version             number of the latest version of the table

LanceDB commits each change as a new version of the table, so a reader or a killed
writer never sees half of one. Writers take turns by means of the lock, because two
that insert the same key at the same time would both succeed. LanceDB opens the latest
version that it finds; the number in `version` tells whether a later one was lost.
"""

from __future__ import annotations

import math
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import numpy as np

from bytecover_tf.catalogues.catalogue import (
    EXACT_ROWS,
    Catalogue,
    CatalogueMissing,
    IndexQuality,
)
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.catalogues.packing import unpack
from bytecover_tf.catalogues.recall import Trial
from bytecover_tf.catalogues.rows import (
    ADDED_COLUMNS,
    COLUMNS,
    DIGEST,
    Hit,
    Recording,
    Row,
)
from bytecover_tf.errors import ByteCoverError, CatalogueError, ConfigError
from bytecover_tf.files import lock, write_atomically

# LanceDB's client for remote tables. It defines hundreds of classes, which takes half
# the time of importing LanceDB, and LanceDB needs only some modules of it.
_CLIENT = "lance_namespace_urllib3_client"

_TABLE = "recordings"
_IDENTITY = b"bytecover"
_VERSION = "version"
# Followed by the number of rows that the index was built for. Catalogues made before
# have an HNSW graph, named otherwise, until `optimize` puts this index in its place.
_INDEX = "partitions_"
_IDS_AT_ONCE = 500
_ROWS_AT_ONCE = 8192
# Tidying removes versions older than this, even if somebody still reads them.
_KEEP_VERSIONS = timedelta(hours=1)

# Each write makes a file, and each read opens all of them. Merging them rewrites most
# of the catalogue: 19 kB a recording. So files are merged when there are this many, and
# in a large catalogue when there are as many as the root of its rows, which is where
# both cost about the same.
_TIDY = 200

# The index is IVF_SQ: each value as a byte, in partitions of about so many rows. An
# HNSW graph answers sooner where a process keeps it, by less than an alignment takes,
# but building it takes many times as long, and a process that asks once first reads
# all of it. LanceDB joins smaller partitions when it tidies.
_PARTITION_ROWS = 5000
_REFINE = 2

# Which share of the partitions, those nearest to the query, a search reads. How many it
# needs depends on how the embeddings are distributed: `optimize` chooses the smallest
# that finds enough.
_SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
# More than `IndexQuality.is_good` asks for, since only some queries measure it.
_WANTED_RECALL = 0.995
_TRIAL_QUERIES = 200
_TRIAL_TOP = 10
# Where the choice and its recall are kept: in the metadata of the embeddings' column.
_CHOICE, _FOUND = "partitions", "recall"
# Until there is a choice, all partitions are read, however many there are.
_ALL = 2**20


class LanceCatalogue(Catalogue):
    """A catalogue in a folder.

    Args:
        address: the folder.
        identity: of the catalogue to make if the folder has none; None if there must
            be one.

    Raises:
        CatalogueMissing: there is no catalogue.
        CatalogueError: it is damaged, or LanceDB is not installed.
    """

    def __init__(self, address: str, identity: Identity | None = None) -> None:
        try:
            lancedb = import_lancedb()
        except ImportError:
            raise CatalogueError(
                f"{address}: a catalogue in a folder needs LanceDB; "
                "pip install 'bytecover_tf[catalogue]'"
            ) from None
        self.address = address
        self._folder = Path(address)
        self._writes = 0
        self._held = threading.local()
        self._table: Any = None
        if identity is not None:
            if self._folder.is_file():
                raise CatalogueError(f"{address}: expected a folder, found a file")
            self._folder.mkdir(parents=True, exist_ok=True)
            if not self._exists:
                self._check_own()
        elif not self._exists:
            raise CatalogueMissing(f"{address}: there is no catalogue")
        latest = self._read_version()
        # Every read looks for what other processes have written.
        database = lancedb.connect(self._folder, read_consistency_interval=timedelta(0))
        if identity is not None:
            with self.writing(), _explained(self.address):
                if not self._exists:
                    self._make(database, identity)
        with _explained(address):
            self._table = database.open_table(_TABLE)
            self._check_version(latest)
            self.identity = _read_identity(self._table.schema, address)

    @property
    def _exists(self) -> bool:
        table = self._folder / f"{_TABLE}.lance"
        if any(table.glob("_versions/*.manifest")):
            return True
        # No version was written: the process was killed, or the disk was full.
        if any(table.glob("data/*")) or self._version.exists():
            raise CatalogueError(
                f"{self.address}: damaged; every version of {table} is lost. Restore "
                "the folder from a copy, or index the files into a new catalogue"
            )
        return False

    @property
    def _version(self) -> Path:
        return self._folder / _VERSION

    def _read_version(self) -> int:
        """Return the latest version that was written; 0 if none has been noted."""
        try:
            return int(self._version.read_text())
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            raise CatalogueError(f"{self._version}: damaged ({error})") from None

    def _check_version(self, latest: int) -> None:
        if self._table.version < latest:
            raise CatalogueError(
                f"{self.address}: damaged; version {latest} is lost, and the latest "
                f"one left is {self._table.version}. Restore the folder from a copy, "
                f"or remove {self._version} to continue with what is left"
            )

    def _make(self, database: Any, identity: Identity) -> None:
        was_begun = (self._folder / f"{_TABLE}.lance").exists()
        mode = "overwrite" if was_begun else "create"
        database.create_table(_TABLE, schema=_schema(identity), mode=mode)

    def _check_own(self) -> None:
        """Refuse to make a catalogue where something else lies."""
        names = {path.name for path in self._folder.iterdir()}
        others = names - {"lock", f"{_TABLE}.lance"}
        if others:
            raise CatalogueError(
                f"{self.address}: holds other files, such as {min(others)}; "
                "a new catalogue needs a folder of its own"
            )

    def make_room(self) -> bool:
        """Add the columns that a catalogue of an older version lacks."""
        empty = {str: "''", int: "cast(0 as bigint)"}
        with self.writing(), _explained(self.address):
            present = self._table.schema.names
            missing = {
                name: empty[kind]
                for name, kind in ADDED_COLUMNS.items()
                if name not in present
            }
            if missing:
                self._table.add_columns(missing)
        return True

    @property
    def _columns(self) -> list[str]:
        """The columns of a recording that the table has."""
        with _explained(self.address):
            present = self._table.schema.names
        return [*COLUMNS, *(name for name in ADDED_COLUMNS if name in present)]

    def remove(self, ids: Sequence[str]) -> None:
        """Remove recordings; unknown ids are ignored."""
        with self.writing(), _explained(self.address):
            for condition in _conditions(ids):
                self._table.delete(condition)

    def count(self) -> int:
        """Return the number of recordings."""
        with _explained(self.address):
            return self._table.count_rows("segment = 0")

    def recordings(self) -> Iterator[Recording]:
        """Yield every recording, in no particular order."""
        for batch in self._scan(self._columns, "segment = 0"):
            yield from map(Recording.from_dict, batch.to_pylist())

    def rows(self, ids: Iterable[str] | None = None) -> Iterator[Row]:
        """Yield the rows of the recordings with these ids, by default of all."""
        for condition in [None] if ids is None else _conditions(ids):
            columns = [*self._columns, "embedding", "chroma", *self._digest]
            for batch in self._scan(columns, condition):
                embeddings = self._vectors(batch)
                values = batch.drop_columns(["embedding"]).to_pylist()
                for value, embedding in zip(values, embeddings, strict=True):
                    yield Row.from_dict(
                        {**value, "embedding": embedding}, self.identity.parts
                    )

    @property
    def _digest(self) -> list[str]:
        """The column of digests, which older catalogues lack."""
        return [DIGEST] if DIGEST in self._table.schema.names else []

    def vectors(self) -> Iterator[np.ndarray]:
        """Yield every embedding, in blocks (n, dim) in no particular order."""
        for batch in self._scan(["embedding"], None):
            yield self._vectors(batch)

    def chroma(self, ids: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the chroma (12 * parts, frames) of recordings by id."""
        return {
            values["id"]: unpack(values["chroma"], self.identity.parts)
            for condition in _conditions(ids)
            for batch in self._scan(["id", "chroma"], f"segment = 0 AND {condition}")
            for values in batch.to_pylist()
        }

    def _scan(self, columns: list[str], condition: str | None) -> Iterator[Any]:
        with _explained(self.address):
            query = self._table.search().select(columns)
            if condition:
                query = query.where(condition)
            yield from query.to_batches(_ROWS_AT_ONCE)

    def _vectors(self, batch: Any) -> np.ndarray:
        flat = batch.column("embedding").flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(-1, self.identity.dim)

    def search(self, vectors: np.ndarray, top: int = 10) -> list[list[Hit]]:
        """Return the rows nearest to each query, as `Catalogue.search` says."""
        return self._search(vectors, top, self._partitions)

    @property
    def _partitions(self) -> int:
        """What `optimize` chose, perhaps in another process."""
        return int(self._noted(_CHOICE) or _ALL)

    def _noted(self, name: str) -> str | None:
        with _explained(self.address):
            metadata = self._table.schema.field("embedding").metadata or {}
        text = metadata.get(name.encode())
        return None if text is None else text.decode()

    def _search(
        self, vectors: np.ndarray, top: int, partitions: int
    ) -> list[list[Hit]]:
        vectors = self._check_queries(vectors)
        found: list[list[Hit]] = [[] for _ in vectors]
        if not len(vectors):
            return found
        with _explained(self.address):
            query = (
                self._table.search(list(vectors), vector_column_name="embedding")
                .distance_type("cosine")
                .select([*self._columns, "_distance"])
                .limit(top)
                # These matter to an approximate index only.
                .nprobes(partitions)
                .refine_factor(_REFINE)
            )
            for values in query.to_arrow().sort_by("_distance").to_pylist():
                # LanceDB leaves the column out if there is one query only.
                hits = found[values.get("query_index", 0)]
                hits.append(Hit.from_dict(values, 1 - values["_distance"]))
        return found

    def optimize(self, exact_rows: int = EXACT_ROWS) -> IndexQuality | None:
        """Merge small files, drop old versions, and update the approximate index.

        A catalogue with an index is left as it is until it has many files, as merging
        them takes long. Until then, a search compares the query with every row that is
        new, and the space of removed rows is not freed.

        If the index has changed, the share of it that a search reads is chosen anew:
        the smallest of a few with which some queries find enough of their true ten
        nearest rows.

        Args:
            exact_rows: up to this number of rows there is no index.

        Returns:
            The index with its recall, or None.
        """
        with self.writing(), _explained(self.address):
            rows = self._table.count_rows()
            is_as_before = rows > exact_rows and not self._is_scattered(rows)
            if not is_as_before:
                self._tidy()
            indices = [index.name for index in self._table.list_indices()]
            if rows <= exact_rows:
                self._drop(indices)
                return None
            # New rows join the existing partitions, which become too large in the end.
            if not any(rows <= 2 * _rows_at_build(name) for name in indices):
                self._drop(indices)
                self._build(rows)
                is_as_before = False
            found = self._noted(_FOUND) if is_as_before else None
            # To measure it takes two reads of all embeddings.
            recall = self._choose_partitions(rows) if found is None else float(found)
            return IndexQuality(rows, recall)

    def _build(self, rows: int) -> None:
        from lancedb.index import IvfSq

        self._table.create_index(
            "embedding",
            config=IvfSq(distance_type="cosine", num_partitions=_partitions_of(rows)),
            name=f"{_INDEX}{rows}",
        )

    def _choose_partitions(self, rows: int) -> float:
        """Store the smallest number of partitions that will do; return its recall."""
        trial = Trial.of(self.vectors, self.identity.dim, _TRIAL_QUERIES, _TRIAL_TOP)
        for share in _SHARES:
            partitions = math.ceil(share * _partitions_of(rows))
            recall = trial.recall(partial(self._search, partitions=partitions))
            if recall >= _WANTED_RECALL:
                break
        notes = {_CHOICE: str(partitions), _FOUND: str(float(recall))}
        if any(self._noted(name) != text for name, text in notes.items()):
            self._table.update_field_metadata({"path": "embedding", "metadata": notes})
        return recall

    def _drop(self, indices: list[str]) -> None:
        for name in indices:
            self._table.drop_index(name)

    def close(self) -> None:
        """Release what the catalogue holds open."""
        self._table = None

    def _upsert(self, rows: Sequence[Row]) -> None:
        with self.writing(), _explained(self.address):
            (
                self._table.merge_insert("key")
                .when_matched_update_all()
                .when_not_matched_insert_all()
                .execute(self._arrow(rows))
            )
            self._writes += 1
            if self._writes % _TIDY == 0 and self._is_scattered():
                self._tidy()

    def _is_scattered(self, rows: int | None = None) -> bool:
        """Tell whether there are so many files that merging them is worth its time."""
        rows = self._table.count_rows() if rows is None else rows
        files = self._table.stats()["fragment_stats"]["num_fragments"]
        return files >= max(_TIDY, math.isqrt(rows))

    def _tidy(self) -> None:
        self._table.optimize(cleanup_older_than=_KEEP_VERSIONS)

    def _arrow(self, rows: Sequence[Row]) -> Any:
        import pyarrow as pa

        values = [row.to_dict() for row in rows]
        flat = np.stack([row.embedding for row in rows]).astype(np.float32).ravel()
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat), self.identity.dim)
        schema = self._table.schema
        arrays = [
            vectors
            if field.name == "embedding"
            else pa.array([value[field.name] for value in values], field.type)
            for field in schema
        ]
        return pa.table(arrays, schema=schema)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Wait until no other process or thread writes, and keep others waiting."""
        if getattr(self._held, "is_held", False):
            yield
            return
        with _explained(self.address):
            held = lock(self._folder / "lock", wait=True)
        with held:
            self._held.is_held = True
            try:
                yield
            finally:
                self._held.is_held = False
            if self._table is not None:
                with _explained(self.address):
                    write_atomically(self._version, f"{self._table.version}\n")


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """Turn LanceDB's errors, which are built-in ones, into a CatalogueError."""
    try:
        yield
    except ByteCoverError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # Where in LanceDB's source it happened helps no user.
        reason = re.sub(r",? *[^ ,]+\.rs:\d+:\d+", "", lines[0])
        reason = re.sub(r"^lance error: LanceError\(\w+\): ", "", reason)
        raise CatalogueError(f"{address}: {reason}") from error
    except BaseException as error:
        # LanceDB's Rust code raises this on damage; it is not an Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise CatalogueError(f"{address}: damaged ({error})") from error


def _schema(identity: Identity) -> Any:
    import pyarrow as pa

    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    fields = [(name, types[kind]) for name, kind in COLUMNS.items()]
    fields += [
        ("embedding", pa.list_(pa.float32(), identity.dim)),
        ("chroma", pa.binary()),
        (DIGEST, pa.string()),
        *((name, types[kind]) for name, kind in ADDED_COLUMNS.items()),
    ]
    return pa.schema(fields, metadata={_IDENTITY: identity.to_json()})


def _read_identity(schema: Any, where: str) -> Identity:
    text = (schema.metadata or {}).get(_IDENTITY)
    if text is None:
        raise ValueError("a LanceDB table, but not a catalogue")
    try:
        return Identity.from_json(text.decode(), where)
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise CatalogueError(
            f"{where}: its identity is damaged, or of a later version ({error})"
        ) from None


def _rows_at_build(index: str) -> int:
    """Return how many rows an index was built for; 0 if it is a former one."""
    return int(index.removeprefix(_INDEX)) if index.startswith(_INDEX) else 0


def _partitions_of(rows: int) -> int:
    return math.ceil(rows / _PARTITION_ROWS)


def _conditions(ids: Iterable[str]) -> Iterator[str]:
    """Yield SQL conditions that together choose the recordings with these ids."""
    quoted = ["'" + name.replace("'", "''") + "'" for name in ids]
    for start in range(0, len(quoted), _IDS_AT_ONCE):
        yield f"id IN ({', '.join(quoted[start : start + _IDS_AT_ONCE])})"


def import_lancedb() -> Any:
    """Return the package `lancedb`, imported without its client for servers.

    Raises:
        ImportError: it is not installed.
    """
    _run_on_demand(_CLIENT)
    import lancedb

    return lancedb


def _run_on_demand(name: str) -> None:
    """Put off running a package until one of its names is used.

    Its modules can be imported before that.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    loader, package = spec.loader, module_from_spec(spec)

    def run(attribute: str) -> Any:
        del package.__dict__["__getattr__"]
        loader.exec_module(package)
        return getattr(package, attribute)

    package.__dict__["__getattr__"] = run
    sys.modules[name] = package
