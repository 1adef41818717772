"""A manifest: any collection, listed in one CSV or JSON-lines file.

    work,path,id,split,role
    yesterday,audio/beatles.flac,1,train,both

or one object a line, `{"work": "yesterday", "path": "audio/beatles.flac"}`, in a file
that ends in .jsonl.
"""

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast, get_args

from bytecover_tf.data import files
from bytecover_tf.data.track import Role, Split, Track
from bytecover_tf.errors import DataError

_COLUMNS = {"work", "path", "id", "recording", "split", "role"}


def load(path: Path, may_lack_files: bool = False) -> list[Track]:
    """Read the tracks that a manifest lists.

    The columns are

    - `work` (required): label of the composition;
    - `path` (required): the recording or `.npy` feature, relative to the manifest;
    - `id`, or `recording` instead: the path as written if it is left out;
    - `split`: `train`, `validation` or `test`, the default;
    - `role`: `query`, `reference` or `both`, the default.

    Others are disregarded here, see `load_columns`. An empty field counts as left out.

    Args:
        path: the manifest, `.csv` or `.jsonl`, in UTF-8.
        may_lack_files: whether files may be missing, for a caller who skips these.

    Returns:
        Tracks in the order of the rows.

    Raises:
        DataError: with the line and what was expected, if the manifest is malformed,
            an id comes twice, a file does not exist, or there are no rows.
    """
    path = Path(path)
    tracks = unique(
        (where, _track(where, row, path.parent, may_lack_files))
        for where, row in rows(path, _COLUMNS)
    )
    if not tracks:
        raise DataError(f"{path}: expected at least one recording, found none")
    return tracks


def unique(listed: Iterable[tuple[str, Track]]) -> list[Track]:
    """Return the tracks of a list.

    Args:
        listed: where each stands, as `file:line`, and the track.

    Raises:
        DataError: an id comes twice.
    """
    tracks: dict[str, Track] = {}
    for where, track in listed:
        if tracks.setdefault(track.id, track) is not track:
            raise DataError(f"{where}: the id {track.id!r} was listed before")
    return list(tracks.values())


def _track(where: str, row: dict[str, str], base: Path, may_lack_file: bool) -> Track:
    for column in "work", "path":
        if not row.get(column):
            raise DataError(f"{where}: expected a {column!r}, found none")
    audio = files.as_on_disk(base, row["path"])
    if not may_lack_file and not audio.is_file():
        raise DataError(f"{where}: expected the file {audio}, found none")
    return Track(
        id=row.get("id") or row.get("recording") or row["path"],
        work=files.composed(row["work"]),
        path=str(audio),
        split=cast(Split, choice(where, row, "split", get_args(Split), "test")),
        role=cast(Role, choice(where, row, "role", get_args(Role), "both")),
    )


def load_columns(path: Path, columns: Collection[str]) -> dict[str, dict[str, str]]:
    """Read further columns of a manifest that `load` has accepted.

    Args:
        path: the manifest.
        columns: which ones; those that a row lacks or leaves empty are left out.

    Returns:
        By the path of each recording the text of each column.

    Raises:
        DataError: as `load` does, or a field holds something else than a text.
    """
    path = Path(path)
    return {
        str(files.as_on_disk(path.parent, row["path"])): {
            name: row[name] for name in columns if row.get(name)
        }
        for _, row in rows(path, {"path", *columns})
    }


def rows(path: Path, columns: Collection[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a manifest.

    Args:
        path: the manifest, `.csv` or `.jsonl`.
        columns: those that a row has at least, if they are there.

    Yields:
        Where a row stands, as `file:line`, and its fields.

    Raises:
        DataError: as `load` does.
    """
    if path.suffix.lower() == ".csv":
        return _csv_rows(path)
    if path.suffix.lower() == ".jsonl":
        return _json_rows(path, columns)
    raise DataError(f"{path}: expected a manifest that ends in .csv or .jsonl")


def choice(
    where: str, row: dict[str, str], column: str, choices: tuple[str, ...], default: str
) -> str:
    """Return a field that is one of some texts.

    Args:
        where: where the row stands.
        row: its fields.
        column: name of the field.
        choices: what it may be.
        default: what it is if it is empty or left out.

    Raises:
        DataError: it is another.
    """
    value = row.get(column) or default
    if value not in choices:
        raise DataError(
            f"{where}: expected {column!r} to be one of {', '.join(choices)}, "
            f"found {value!r}"
        )
    return value


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    with (
        files.reading_text(path, "a manifest"),
        open(path, encoding="utf-8-sig", newline="") as file,
    ):
        try:
            reader = csv.reader(file, strict=True)
            header = [column.strip() for column in next(reader, [])]
            for column in "work", "path":
                if header.count(column) != 1:
                    raise DataError(
                        f"{path}:1: expected a header with one column {column!r}, "
                        f"found {', '.join(header) or 'none'}"
                    )
            _check_names(header, f"{path}:1")
            for values in reader:
                if not values:
                    continue
                where = f"{path}:{reader.line_num}"
                if len(values) != len(header):
                    raise DataError(
                        f"{where}: expected {len(header)} fields, found {len(values)}"
                    )
                fields = map(str.strip, values)
                yield where, dict(zip(header, fields, strict=True))
        except csv.Error as error:
            raise DataError(
                f"{path}:{reader.line_num}: expected CSV ({error})"
            ) from error


def _json_rows(
    path: Path, columns: Collection[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    for number, line in files.lines(path):
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: expected a JSON object ({error})") from error
        if not isinstance(row, dict):
            raise DataError(f"{where}: expected a JSON object, found {line!r}")
        _check_names([*row], where)
        known = set(columns) & row.keys()
        yield where, {column: _text(where, column, row[column]) for column in known}


def _check_names(names: Sequence[str], where: str) -> None:
    """Refuse a column that comes twice, or is not found for its capital letters."""
    for name in names:
        column = name.lower()
        if column in _COLUMNS and column not in names:
            raise DataError(f"{where}: expected the column {column!r}, found {name!r}")
        if name in _COLUMNS and names.count(name) > 1:
            raise DataError(f"{where}: the column {name!r} comes twice")


def _text(where: str, column: str, value: object) -> str:
    """Accept numbers too, since labels often are."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(f"{where}: expected {column!r} to be a text, found {value!r}")
    return str(value).strip()
