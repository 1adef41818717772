"""Search by what another system makes of recordings, handed over in a file.

Any system can thus be measured by the same protocol as an encoder of this package, with
the same treatment of ties and the same intervals.

A file of embeddings is a NumPy archive (`numpy.savez`) with

    ids        (N,) text: a track's id in its data set, or the path of its file
    vectors    (N, dim) numbers
    metric     optional text: `cosine`, the default, or `euclidean`

A file of similarities, for systems that compare recordings pair by pair, is a NumPy
archive with

    query_ids        (Q,) text, as ids above
    reference_ids    (R,) text; without it, query_ids
    similarities     (Q, R) numbers, larger for more similar; or instead
    distances        (Q, R) numbers, smaller for more similar

or MIREX's file of distances (`evaluation.mirex`). Recordings that are in the file
alone are ignored. A recording that has no row is searched among but not for, and one
that has no column the other way round.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bytecover_tf import metrics
from bytecover_tf.data.files import composed
from bytecover_tf.data.track import Role, Track
from bytecover_tf.errors import DataError
from bytecover_tf.evaluation.mirex import read_distances
from bytecover_tf.evaluation.protocol import Evaluation, by_role, score
from bytecover_tf.terminal import warn

_METRICS = ("cosine", "euclidean")


class Searched(NamedTuple):
    """A search by a file.

    Attributes:
        evaluation: the search of the tracks that the file covers.
        failed: why others could not take part, by their ids.
    """

    evaluation: Evaluation
    failed: dict[str, str]


def search_embeddings(tracks: Sequence[Track], path: Path) -> Searched:
    """Search by the embeddings in a file.

    Args:
        tracks: recordings with their roles; a query is not compared with itself.
        path: a file of embeddings.

    Raises:
        DataError: the file is missing or malformed, it covers none of the tracks, or
            nothing is left to measure.
    """
    archive = _load(path, ("ids", "vectors"), ("metric",))
    vectors = _numbers(archive["vectors"], f"{path}: vectors")
    names = _names(archive["ids"], len(vectors), f"{path}: ids")
    metric = str(archive.get("metric", _METRICS[0]))
    if metric not in _METRICS:
        raise DataError(
            f"{path}: expected metric to be one of {', '.join(_METRICS)}, "
            f"found {metric!r}"
        )
    places = _Places(names, path)
    norms = np.linalg.norm(vectors, axis=1)
    usable, failed = [], {}
    for track in tracks:
        place = places.find(track)
        if place is None:
            failed[track.id] = f"{path} has no embedding of it"
        elif not np.isfinite(norms[place]):
            failed[track.id] = f"its embedding in {path} is not finite"
        elif metric == "cosine" and norms[place] == 0:
            failed[track.id] = f"its embedding in {path} is zero, without a direction"
        else:
            usable.append(track)
    if not usable:
        raise _nothing_covered(tracks, failed, places, places)
    queries, references = by_role(usable)
    asking = vectors[places.of(queries)]
    answering = vectors[places.of(references)]
    ids = [track.id for track in queries], [track.id for track in references]
    if metric == "cosine":
        block = metrics.similarities(_unit(asking), _unit(answering), *ids)
    else:
        block = _nearness(asking, answering, metrics.same_recording(*ids))
    return Searched(score(queries, references, block), failed)


def search_similarities(tracks: Sequence[Track], path: Path) -> Searched:
    """Search by the similarities or distances in a file.

    Args:
        tracks: as of `search_embeddings`.
        path: a file of similarities, or of MIREX's distances.

    Raises:
        DataError: as of `search_embeddings`; or a pair that counts has no number.
    """
    query_names, reference_names, matrix, sign = _read_matrix(path)
    rows, columns = _Places(query_names, path), _Places(reference_names, path)
    usable, failed = [], {}
    halved: Counter[Role] = Counter()
    for track in tracks:
        can_ask = track.role != "reference" and rows.find(track) is not None
        can_answer = track.role != "query" and columns.find(track) is not None
        if can_ask or can_answer:
            role: Role = (
                "both"
                if can_ask and can_answer
                else "query"
                if can_ask
                else "reference"
            )
            halved[role] += role != track.role
            usable.append(replace(track, role=role))
        elif track.role == "reference":
            failed[track.id] = f"{path} has no column of it as a reference"
        else:
            failed[track.id] = f"{path} has no row of it as a query"
    if not usable:
        raise _nothing_covered(tracks, failed, rows, columns)
    queries, references = by_role(usable)
    if halved["reference"]:
        warn(f"warning: {path}: {halved['reference']} recordings have no row, so they "
             "are not searched for")  # fmt: skip
    if halved["query"]:
        warn(f"warning: {path}: {halved['query']} recordings have no column, so they "
             "are not searched among")  # fmt: skip
    asks, answers = rows.of(queries), columns.of(references)
    excluded = metrics.same_recording(
        [track.id for track in queries], [track.id for track in references]
    )

    def block(part: slice) -> tuple[np.ndarray, np.ndarray]:
        itself = excluded(part)
        values = sign * matrix[np.ix_(asks[part], answers)]
        # Systems write what they like where a recording meets itself.
        values[itself] = 0
        if np.isnan(values).any():
            row, column = np.argwhere(np.isnan(values))[0]
            raise DataError(
                f"{path}: expected a number for the query {queries[part][row].id!r} "
                f"and the reference {references[column].id!r}, found none"
            )
        return values, itself

    return Searched(score(queries, references, block), failed)


class _Places:
    """Where a file has each recording.

    Args:
        names: what the file calls its recordings.
        path: the file.

    Raises:
        DataError: a name comes twice.
    """

    def __init__(self, names: Sequence[str], path: Path) -> None:
        self.names, self.path = names, path
        self._by_name: dict[str, int] = {}
        for place, name in enumerate(names):
            if self._by_name.setdefault(name, place) != place:
                raise DataError(f"{path}: {name!r} comes twice; expected it once")
        self._by_path = {
            composed(os.path.abspath(name)): place for place, name in enumerate(names)
        }

    def find(self, track: Track) -> int | None:
        """Return the place of a track, known by its id or its path; or None."""
        place = self._by_name.get(track.id)
        if place is not None:
            return place
        return self._by_path.get(composed(os.path.abspath(track.path)))

    def of(self, tracks: Sequence[Track]) -> np.ndarray:
        """Return the places of tracks that all have one."""
        return np.array([self.find(track) for track in tracks], int)


def _nothing_covered(
    tracks: Sequence[Track],
    failed: dict[str, str],
    places: _Places,
    further: _Places,
) -> DataError:
    """Return why a file is of no use for any of some tracks."""
    known = next(
        (
            one
            for one in tracks
            if (places.find(one), further.find(one)) != (None, None)
        ),
        None,
    )
    if known is not None:
        return DataError(
            f"none of {len(tracks)} recordings can be searched, such as {known.id!r}: "
            f"{failed[known.id]}"
        )
    return DataError(
        f"{places.path}: covers none of {len(tracks)} recordings; expected ids such as "
        f"{tracks[0].id!r} or paths such as {tracks[0].path}, found "
        + (repr(places.names[0]) if len(places.names) else "none")
    )


def _read_matrix(path: Path) -> tuple[list[str], list[str], np.ndarray, int]:
    """Return queries, references, matrix, and the sign that makes it a similarity."""
    if path.suffix != ".npz":
        found = read_distances(path)
        return found.queries, found.references, found.distances, -1
    kinds = ["similarities", "distances"]
    archive = _load(path, ("query_ids",), ("reference_ids", *kinds))
    kinds = [kind for kind in kinds if kind in archive]
    if len(kinds) != 1:
        raise DataError(
            f"{path}: expected either similarities or distances, found "
            + (" and ".join(kinds) or ", ".join(archive))
        )
    matrix = _numbers(archive[kinds[0]], f"{path}: {kinds[0]}")
    queries = _names(archive["query_ids"], len(matrix), f"{path}: query_ids")
    columns = archive.get("reference_ids", archive["query_ids"])
    references = _names(columns, matrix.shape[1], f"{path}: reference_ids")
    return queries, references, matrix, 1 if kinds[0] == "similarities" else -1


def _load(
    path: Path, needed: Sequence[str], further: Sequence[str]
) -> dict[str, np.ndarray]:
    """Read arrays of an archive, the further ones if it has them."""
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"{path}: expected an archive of numpy.savez, found .npy")
        with archive:
            there = archive.files
            wanted = [name for name in (*needed, *further) if name in there]
            found = {name: archive[name] for name in wanted}
    except OSError as error:
        raise DataError(
            f"{path}: expected an archive of numpy.savez ({error.strerror or error})"
        ) from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: expected an archive of numpy.savez without Python objects; make "
            f"ids by numpy.array(ids, dtype=str) ({error})"
        ) from error
    for name in needed:
        if name not in found:
            raise DataError(
                f"{path}: expected the array {name!r}, found "
                + (", ".join(there) or "none")
            )
    return found


def _numbers(array: np.ndarray, what: str) -> np.ndarray:
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise DataError(
            f"{what}: expected a table of numbers, found {array.dtype} of shape "
            f"{array.shape}"
        )
    # What differs in the last digits of double precision must not become equal.
    return array.astype(np.result_type(array.dtype, np.float32), copy=False)


def _names(array: np.ndarray, count: int, what: str) -> list[str]:
    if array.dtype.kind not in "Uiu" or array.shape != (count,):
        raise DataError(
            f"{what}: expected {count} texts, found {array.dtype} of shape "
            f"{array.shape}"
        )
    return [str(name) for name in array]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _nearness(
    queries: np.ndarray, references: np.ndarray, excluded: metrics.Excluded
) -> metrics.Block:
    """Return what gives minus the Euclidean distances."""
    once, places = metrics.distinct(references)
    queries, once = queries.astype(float), once.astype(float)
    squares = (once**2).sum(axis=1)

    def block(part: slice) -> tuple[np.ndarray, np.ndarray]:
        asking = queries[part]
        squared = (asking**2).sum(axis=1)[:, None] - 2 * asking @ once.T + squares
        return -np.sqrt(squared.clip(0))[:, places], excluded(part)

    return block
