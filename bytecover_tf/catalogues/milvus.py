"""A catalogue on a Milvus server: one collection.

The identity is the collection's description, which is written when the collection
is made and cannot change. Every read is strongly consistent: it sees what any
process has written before.
"""

from __future__ import annotations

import json
import logging
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import numpy as np

from bytecover_tf.catalogues.catalogue import (
    EXACT_ROWS,
    Catalogue,
    CatalogueMissing,
    IndexQuality,
)
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.catalogues.packing import BYTES_PER_FRAME, unpack
from bytecover_tf.catalogues.rows import (
    ADDED_COLUMNS,
    COLUMNS,
    DIGEST,
    Hit,
    Recording,
    Row,
)
from bytecover_tf.errors import CatalogueError
from bytecover_tf.files import JsonObject
from bytecover_tf.terminal import without_password

_ADDRESS = re.compile(
    r"milvus://((?P<login>\S+)@)?(?P<server>[^/@\s]+:\d+)/(?P<collection>[A-Za-z_]\w*)"
)
_TOKEN = "BYTECOVER_MILVUS_TOKEN"
_TIMEOUT = 60  # seconds, for one request
_CONNECT_TIMEOUT = 10
_TEXT = 65_535  # bytes, the most that Milvus allows
_IDS_AT_ONCE = 500
# How many frames of one part of the chroma fit into a text as base64: 63 minutes. The
# rest of a longer recording is found by its embeddings but not aligned.
_FRAMES = _TEXT // 4 * 3 // BYTES_PER_FRAME
# The server refuses messages over 64 MB; a row has up to 8 kB of vector and 64 kB of
# chroma for each part.
_PARTS_AT_ONCE = 500
# Of rows without chroma. Each request looks for its first row among all of them.
_ROWS_AT_ONCE = 2000

_EXACT = {"index_type": "FLAT", "metric_type": "COSINE"}
# Chosen on 100 000 x 256: see `optimize`.
_APPROXIMATE = {
    "index_type": "HNSW",
    "metric_type": "COSINE",
    "params": {"M": 32, "efConstruction": 300},
}
_CANDIDATES = 400


class MilvusCatalogue(Catalogue):
    """A catalogue on a server.

    Args:
        address: `milvus://host:port/collection`. Name and password, written
            `name:password`, come from the environment variable
            `BYTECOVER_MILVUS_TOKEN`, or stand before an `@` as in other addresses.
        identity: of the collection to make if the server has none of this name; None
            if there must be one.

    Raises:
        CatalogueMissing: there is no such collection.
        CatalogueError: the address is malformed, the server cannot be reached, the
            collection is not a catalogue, or pymilvus is not installed.
    """

    def __init__(self, address: str, identity: Identity | None = None) -> None:
        match = _ADDRESS.fullmatch(address)
        # Messages must not show the password.
        address = without_password(address)
        try:
            import pymilvus  # noqa: F401
        except ImportError:
            raise CatalogueError(
                f"{address}: a catalogue on a server needs pymilvus; "
                "pip install 'bytecover_tf[milvus]'"
            ) from None
        self.address = address
        if not match:
            raise CatalogueError(
                f"{address}: expected milvus://host:port/collection, where the "
                "collection consists of letters, digits and _"
            )
        self._collection = match["collection"]
        with self._explained():
            token = match["login"] or os.environ.get(_TOKEN, "")
            self._client = _connect(f"http://{match['server']}", unquote(token))
            if identity is not None and not self._exists:
                self._make(identity)
            if not self._exists:
                raise CatalogueMissing(f"{address}: there is no catalogue")
            described = self._client.describe_collection(self._collection)
            self.identity = Identity.from_json(described["description"], address)
            names = {field["name"] for field in described["fields"]}
            self._digest = [DIGEST] if DIGEST in names else []
            self._added = [name for name in ADDED_COLUMNS if name in names]
            if not self._client.list_indexes(self._collection):
                # The process that made it or changed its index was killed.
                self._client.create_index(self._collection, self._index(_EXACT))
            self._client.load_collection(self._collection, timeout=_TIMEOUT)

    @property
    def _exists(self) -> bool:
        return self._client.has_collection(self._collection, timeout=_TIMEOUT)

    def _make(self, identity: Identity) -> None:
        from pymilvus import DataType

        types = _types()
        schema = self._client.create_schema(description=identity.to_json())
        for name, kind in (COLUMNS | ADDED_COLUMNS).items():
            data_type, options = types[kind]
            schema.add_field(name, data_type, is_primary=name == "key", **options)
        for name in _chroma_fields(identity.parts):
            schema.add_field(name, DataType.VARCHAR, max_length=_TEXT)
        schema.add_field(DIGEST, DataType.VARCHAR, max_length=64)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=identity.dim)
        # Two processes may do this at once: Milvus accepts the same collection again.
        self._client.create_collection(
            self._collection,
            schema=schema,
            index_params=self._index(_EXACT),
            consistency_level="Strong",
            timeout=_TIMEOUT,
        )

    def _index(self, index: JsonObject) -> Any:
        parameters = self._client.prepare_index_params()
        parameters.add_index("embedding", index_name="embedding", **index)
        return parameters

    def make_room(self) -> bool:
        """Add the columns that a catalogue of an older version lacks."""
        from grpc import RpcError
        from pymilvus import MilvusException

        types = _types()
        for name in ADDED_COLUMNS.keys() - set(self._added):
            data_type, options = types[ADDED_COLUMNS[name]]
            try:
                self._client.add_collection_field(
                    self._collection, name, data_type, nullable=True, **options
                )
            except (MilvusException, RpcError):  # an old server knows no such call
                return False
            self._added.append(name)
        return True

    @property
    def _columns(self) -> list[str]:
        return [*COLUMNS, *self._added]

    def remove(self, ids: Sequence[str]) -> None:
        """Remove recordings; unknown ids are ignored."""
        with self._explained():
            for condition in _conditions(ids, "id", _IDS_AT_ONCE):
                self._client.delete(
                    self._collection, filter=condition, timeout=_TIMEOUT
                )

    def count(self) -> int:
        """Return the number of recordings."""
        return self._count("segment == 0")

    def _count(self, condition: str) -> int:
        with self._explained():
            result = self._client.query(
                self._collection,
                filter=condition,
                output_fields=["count(*)"],
                timeout=_TIMEOUT,
            )
        return result[0]["count(*)"]

    def recordings(self) -> Iterator[Recording]:
        """Yield every recording, in no particular order."""
        yield from map(Recording.from_dict, self._scan(self._columns, "segment == 0"))

    def rows(self, ids: Iterable[str] | None = None) -> Iterator[Row]:
        """Yield the rows of the recordings with these ids, by default of all."""
        for condition in [""] if ids is None else _conditions(ids, "id", _IDS_AT_ONCE):
            columns = [*self._columns, "embedding", *self._chroma_fields, *self._digest]
            for values in self._scan(columns, condition):
                packed = self._packed(values)
                yield Row.from_dict({**values, "chroma": packed}, self.identity.parts)

    def vectors(self) -> Iterator[np.ndarray]:
        """Yield every embedding, in blocks (n, dim) in no particular order."""
        for block in self._blocks(["embedding"], ""):
            yield np.array([values["embedding"] for values in block], np.float32)

    def chroma(self, ids: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the chroma (12 * parts, frames) of recordings by id."""
        keys = (f"{name}:0" for name in ids)
        found: dict[str, np.ndarray] = {}
        # By primary key, which is found without looking at other rows. An iterator
        # asks three times, and each strongly consistent read takes a fifth of a second.
        for condition in _conditions(keys, "key", self._chroma_at_once):
            with self._explained():
                rows = self._client.query(
                    self._collection,
                    filter=condition,
                    output_fields=["id", *self._chroma_fields],
                    timeout=_TIMEOUT,
                )
            for values in rows:
                packed = self._packed(values)
                found[values["id"]] = unpack(packed, self.identity.parts)
        return found

    @property
    def _chroma_at_once(self) -> int:
        """How many rows with their chroma fit into one message."""
        return _PARTS_AT_ONCE // self.identity.parts

    @property
    def _chroma_fields(self) -> list[str]:
        return _chroma_fields(self.identity.parts)

    def _packed(self, values: Mapping[str, Any]) -> bytes:
        """Return the packed chroma of a row's columns."""
        return b"".join(b64decode(values[name]) for name in self._chroma_fields)

    def _scan(self, columns: list[str], condition: str) -> Iterator[JsonObject]:
        for block in self._blocks(columns, condition):
            yield from block

    def _blocks(self, columns: list[str], condition: str) -> Iterator[list[Any]]:
        has_chroma = not set(self._chroma_fields).isdisjoint(columns)
        with self._explained():
            iterator = self._client.query_iterator(
                self._collection,
                batch_size=self._chroma_at_once if has_chroma else _ROWS_AT_ONCE,
                filter=condition,
                output_fields=columns,
                timeout=_TIMEOUT,
            )
            while block := iterator.next():
                yield block
            iterator.close()

    def search(self, vectors: np.ndarray, top: int = 10) -> list[list[Hit]]:
        """Return the rows nearest to each query, as `Catalogue.search` says."""
        vectors = self._check_queries(vectors)
        if not len(vectors):
            return []
        with self._explained():
            found = self._client.search(
                self._collection,
                list(vectors),
                limit=top,
                output_fields=self._columns,
                search_params={"params": {"ef": max(_CANDIDATES, top)}},
                timeout=_TIMEOUT,
            )
        return [
            [Hit.from_dict(hit["entity"], hit["distance"]) for hit in hits]
            for hits in found
        ]

    def optimize(self, exact_rows: int = EXACT_ROWS) -> IndexQuality | None:
        """Choose the index by the number of rows.

        The server merges small segments by itself. Above `exact_rows` the index is
        HNSW: on 100 000 x 256 unit vectors in clusters of about eight it found
        0.995 of the true ten nearest. While the index is changed, which happens
        once, searches fail.

        Args:
            exact_rows: up to this number of rows, the index is exact.

        Returns:
            The approximate index with its recall, or None.
        """
        rows = self._count("")
        wanted = _EXACT if rows <= exact_rows else _APPROXIMATE
        with self._explained():
            present = self._client.describe_index(self._collection, "embedding")
            if present["index_type"] != wanted["index_type"]:
                self._change_index(wanted)
        return None if wanted is _EXACT else IndexQuality(rows, self.recall())

    def _change_index(self, index: JsonObject) -> None:
        client, name = self._client, self._collection
        # Only what is flushed gets an index.
        client.flush(name)
        client.release_collection(name, timeout=_TIMEOUT)
        client.drop_index(name, "embedding", timeout=_TIMEOUT)
        client.create_index(name, self._index(index))
        client.load_collection(name)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _upsert(self, rows: Sequence[Row]) -> None:
        # The row of the whole recording comes last: without it, windows do not count.
        ordered = sorted(rows, key=lambda row: row.segment == 0)
        with self._explained():
            for start in range(0, len(ordered), self._chroma_at_once):
                block = ordered[start : start + self._chroma_at_once]
                self._client.upsert(
                    self._collection,
                    [self._values(row) for row in block],
                    timeout=_TIMEOUT,
                )

    def _values(self, row: Row) -> JsonObject:
        """Return a row's columns, each part of the chroma as a text of its own."""
        if row.chroma is not None:
            row = replace(row, chroma=row.chroma[:, :_FRAMES])
        values = row.to_dict()
        packed, digest = values.pop("chroma"), values.pop(DIGEST)
        values = {name: values[name] for name in [*self._columns, "embedding"]}
        length = len(packed) // self.identity.parts
        for number, name in enumerate(self._chroma_fields):
            part = packed[number * length :][:length]
            values[name] = b64encode(part).decode()
        return values | dict.fromkeys(self._digest, digest)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the client's errors into a CatalogueError of one line."""
        from grpc import Call, RpcError
        from pymilvus import MilvusException

        try:
            yield
        except MilvusException as error:
            raise CatalogueError(f"{self.address}: {error.message}") from error
        except RpcError as error:  # of a call that took too long, say
            reason = error.details() if isinstance(error, Call) else error
            raise CatalogueError(f"{self.address}: {reason}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CatalogueError(
                f"{self.address}: not a catalogue ({error})"
            ) from error


def _types() -> dict[type, tuple[Any, dict[str, int]]]:
    """Return Milvus's type and its options for each type of a column."""
    from pymilvus import DataType

    return {
        str: (DataType.VARCHAR, {"max_length": _TEXT}),
        int: (DataType.INT64, {}),
        float: (DataType.DOUBLE, {}),
    }


def _chroma_fields(parts: int) -> list[str]:
    """Return the names of the columns with chroma."""
    return ["chroma", *(f"chroma_{number}" for number in range(1, parts))]


def _connect(uri: str, token: str) -> Any:
    from pymilvus import MilvusClient

    # It would report each failure twice, and that old servers send no timestamps.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    return MilvusClient(uri, token=token, timeout=_CONNECT_TIMEOUT)


def _conditions(names: Iterable[str], column: str, at_once: int) -> Iterator[str]:
    """Yield conditions that together choose the rows with these ids, or keys."""
    quoted = [json.dumps(name) for name in names]
    for start in range(0, len(quoted), at_once):
        yield f"{column} in [{', '.join(quoted[start : start + at_once])}]"
