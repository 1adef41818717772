"""CoversBR: mostly Brazilian music of one rights society's archive.

Silva, Xavier, Moraes, Grivet and Perdigao, "CoversBR: a large dataset for cover song
identification", 2020; github.com/SPLab-IT/CoversBR. Features are published, the audio
is not.

    CoversBR_annotations.csv    work_id,track_id
        or CoversBR_metadata.csv, whose fields are separated by semicolons and more
    audio/    <work_id>/<track_id>.h5 as published (`stores.published_features`), or
              recordings or `.npy` features named <track_id>.<ext>, in subfolders or not

It comes without a split: all recordings are `test` and searched among all, unless
`--split-seed` divides the works.
"""

import csv
from pathlib import Path

from bytecover_tf.data import files
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError

_LISTS = {"CoversBR_annotations.csv": ",", "CoversBR_metadata.csv": ";"}


def load(root: Path, audio: Path | None = None) -> list[Track]:
    """Read the recordings that have a file; how many have none is logged.

    Args:
        root: the folder with the list.
        audio: the folder with the features or recordings; `root/audio` by default.

    Returns:
        Tracks of the split `test`, all `both`, with the track's id and the work's id.

    Raises:
        DataError: if the list is missing or malformed, or no recording has a file.
    """
    root = files.existing_folder(root)
    audio = root / "audio" if audio is None else Path(audio)
    works = _read(root)
    found = files.recordings_by(lambda path: path.stem, audio, published=True)
    tracks = [
        Track(track, work, str(found[track]))
        for track, work in works.items()
        if track in found
    ]
    if not tracks:
        raise DataError(
            f"{audio}: expected files named <track_id>.<ext>, found none that is listed"
        )
    files.warn_of_missing("CoversBR", len(works), len(tracks), audio)
    return tracks


def _read(root: Path) -> dict[str, str]:
    """Return the work of each track."""
    path = next((root / name for name in _LISTS if (root / name).is_file()), None)
    if path is None:
        raise DataError(f"{root}: expected {' or '.join(_LISTS)}")
    delimiter = _LISTS[path.name]
    works: dict[str, str] = {}
    lines = files.lines(path)
    # Lines one by one: a quotation mark that nothing closes would join many.
    rows = (
        (number, row)
        for number, line in lines
        for row in csv.reader([line], delimiter=delimiter, strict=False)
    )
    _, first = next(rows, (1, []))
    header = [column.strip() for column in first]
    try:
        work_at, track_at = header.index("work_id"), header.index("track_id")
    except ValueError:
        raise DataError(
            f"{path}:1: expected the columns work_id and track_id separated by "
            f"{delimiter!r}, found {', '.join(header) or 'none'}"
        ) from None
    for number, row in rows:
        if len(row) <= max(work_at, track_at):
            raise DataError(f"{path}:{number}: expected {len(header)} fields")
        track = row[track_at].strip()
        if works.setdefault(track, row[work_at].strip()) != row[work_at].strip():
            raise DataError(f"{path}:{number}: {track} is in {works[track]} already")
    return works
