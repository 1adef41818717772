"""MIREX's file of distances, in which cover song identification hands in its answers.

    a line of any text, such as the system's name
    1 <tab> /path/of/the/first/recording.wav
    2 <tab> /path/of/the/second/recording.wav
    ...
    Q/R <tab> 1 <tab> 2 <tab> ... <tab> R
    1 <tab> 0.0 <tab> 1.241 <tab> ...
    ...

The header numbers the R recordings of the collection from 1. Each line of the matrix
begins with the number of a query, which is one of them, and gives its distances to all
in the order of the header. The layout is that of the task's pages, such as
music-ir.org/mirex/wiki/2016:Audio_Cover_Song_Identification, "Distance matrix output
files". No distance is negative or infinite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bytecover_tf.data.files import reading_text
from bytecover_tf.errors import DataError
from bytecover_tf.files import replacing

if TYPE_CHECKING:
    from bytecover_tf.data.track import Track
    from bytecover_tf.evaluation.protocol import Evaluation

# Queries whose distances are in memory together.
_BLOCK = 256
# The cosine of float32 vectors of unit norm may be so much above 1.
_ROUNDING = 1e-5


class Distances(NamedTuple):
    """A matrix of distances and what its rows and columns stand for.

    Attributes:
        queries: Q names.
        references: R names.
        distances: (Q, R) float64, smaller for more similar.
    """

    queries: list[str]
    references: list[str]
    distances: np.ndarray


def read_distances(path: Path) -> Distances:
    """Read a file of distances.

    Args:
        path: the file, UTF-8 text.

    Raises:
        DataError: with the line and what was expected, if the file is missing or
            malformed.
    """
    references: list[str] = []
    queries: list[str] = []
    rows: list[np.ndarray] = []
    header = ""
    with (
        reading_text(path, "a file of distances"),
        open(path, encoding="utf-8-sig") as file,
    ):
        for number, line in enumerate(file, 1):
            fields = line.rstrip("\r\n").split("\t")
            where = f"{path}:{number}"
            if header:
                if line.strip():
                    queries.append(_query(fields[0], references, where))
                    rows.append(_row(fields[1:], len(references), where))
            elif fields[0] == "Q/R":
                header = where
                _check_header(fields[1:], len(references), where)
            elif number > 1:
                references.append(_reference(fields, len(references) + 1, where))
    if not rows:
        raise DataError(
            f"{path}: expected a line that begins with Q/R and rows of distances after "
            "it, found none"
        )
    return Distances(queries, references, np.stack(rows))


def write_distances(
    path: Path,
    system: str,
    references: Sequence[str],
    rows: Iterable[tuple[int, np.ndarray]],
) -> None:
    """Write a file of distances.

    Args:
        path: the file, which appears when it is complete.
        system: text of the first line.
        references: names of the collection's R recordings, without tabs and line ends.
        rows: for each query its place among the references, from 0, and its
            distances (R,).

    Raises:
        DataError: a name holds a tab or a line end.
    """
    for name in (system, *references):
        if "\t" in name or "\n" in name or "\r" in name:
            raise DataError(f"{path}: the name {name!r} holds a tab or a line end")
    count = range(1, len(references) + 1)
    with (
        replacing(path) as beside,
        # The name of a recording need not be valid UTF-8; what is not becomes "?".
        open(beside, "w", encoding="utf-8", errors="replace") as file,
    ):
        file.write(f"{system}\n")
        file.writelines(
            f"{number}\t{name}\n"
            for number, name in zip(count, references, strict=True)
        )
        file.write("\t".join(["Q/R", *map(str, count)]) + "\n")
        for place, distances in rows:
            # Exactly, as the ranking is all that counts.
            values = (repr(float(distance)) for distance in distances)
            file.write("\t".join([str(place + 1), *values]) + "\n")


def write_evaluation(path: Path, found: Evaluation) -> None:
    """Write the distances of a search.

    A distance is 1 less the similarity, or 0 if that is negative; where similarities
    exceed 1 by more than rounding, it is the largest of them less the similarity, and
    where none is positive, 0 less the similarity. What is infinitely far is farther
    than any other. The collection is all recordings that the search knows, the
    references first. They are named by their paths, or by their ids if two have the
    same path. A query that is not searched itself is farther from all than any two that
    are compared, and queries among themselves likewise.

    Args:
        path: the file, which appears when it is complete.
        found: the search.

    Raises:
        DataError: as of `write_distances`.
    """
    tracks = list(
        {track.id: track for track in found.references + found.queries}.values()
    )
    place = {track.id: number for number, track in enumerate(tracks)}
    beyond = len(tracks) - len(found.references)

    def blocks() -> Iterator[tuple[list[Track], np.ndarray, np.ndarray]]:
        for start in range(0, len(found.queries), _BLOCK):
            part = slice(start, start + _BLOCK)
            similarity, itself = found.block(part)
            yield found.queries[part], similarity.astype(float), itself

    low, high = np.inf, -np.inf
    for _, similarity, itself in blocks():
        counted = similarity[~itself & np.isfinite(similarity)]
        low = min(low, counted.min(initial=low))
        high = max(high, counted.max(initial=high))
    # No similarity is positive where a file of distances was searched.
    origin = 0.0 if high <= 0 else high if high > 1 + _ROUNDING else 1.0
    farthest = origin - min(low, origin) + 1.0

    def rows() -> Iterator[tuple[int, np.ndarray]]:
        for queries, similarity, itself in blocks():
            distances = np.where(itself, 0.0, (origin - similarity).clip(0, farthest))
            unsearched = np.full((len(distances), beyond), farthest)
            for query, row in zip(
                queries, np.hstack([distances, unsearched]), strict=True
            ):
                row[place[query.id]] = 0
                yield place[query.id], row

    paths = [track.path for track in tracks]
    is_one_each = len(set(paths)) == len(paths)
    names = paths if is_one_each else [track.id for track in tracks]
    write_distances(path, "bytecover_tf", names, rows())


def _reference(fields: list[str], number: int, where: str) -> str:
    if len(fields) != 2 or fields[0] != str(number):
        raise DataError(
            f"{where}: expected {number}, a tab and a path, or Q/R, found "
            f"{_start(fields)!r}"
        )
    name = fields[1]
    if len(name) > 1 and name[0] == name[-1] == '"':
        # A writer of CSV, such as that of Discogs-VINet, quotes names with such marks.
        name = name[1:-1].replace('""', '"')
    return name


def _check_header(fields: list[str], count: int, where: str) -> None:
    if fields != [str(number) for number in range(1, count + 1)]:
        raise DataError(
            f"{where}: expected Q/R and the numbers 1 to {count} of the recordings "
            "above, separated by tabs"
        )


def _query(text: str, references: list[str], where: str) -> str:
    if not (text.isdecimal() and 1 <= int(text) <= len(references)):
        raise DataError(
            f"{where}: expected a query's number from 1 to {len(references)}, "
            f"found {text[:40]!r}"
        )
    return references[int(text) - 1]


def _row(fields: list[str], count: int, where: str) -> np.ndarray:
    if len(fields) != count:
        raise DataError(f"{where}: expected {count} distances, found {len(fields)}")
    try:
        return np.array(fields, float)
    except ValueError as error:
        raise DataError(f"{where}: expected numbers ({error})") from None


def _start(fields: list[str]) -> str:
    return "\t".join(fields)[:60]
