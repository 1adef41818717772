"""LyricCovers 2.0: originals and covers of Genius.com, with lyrics.

Balluff, Mandl and Wolff, "LyricCovers: a comprehensive large-scale dataset of cover
songs with lyrics", 2025; lists at github.com/Maxl94/LyricCovers2.0. The audio is not
published: the videos are to be downloaded.

    data_train.parquet    here or in data/, as published: a row a recording, with the
    data_val.parquet      columns `id`, `original_id` (the id of the original, which
    data_test.parquet     is what all its covers perform), `is_cover` and `youtube_url`
    audio/    recordings or `.npy` features, in subfolders or not, named <id>.<ext> or
              <YouTube id>.<ext>

The split, 6:2:2, is by original. As in the authors' code, covers are searched among
originals. Lyrics are not read.
"""

import re
from pathlib import Path

from bytecover_tf.data import files
from bytecover_tf.data.split import whole_test
from bytecover_tf.data.track import Role, Split, Track
from bytecover_tf.errors import DataError
from bytecover_tf.files import JsonObject

_SPLITS: dict[str, Split] = {
    "data_train.parquet": "train",
    "data_val.parquet": "validation",
    "data_test.parquet": "test",
}
_YOUTUBE_ID = re.compile(r"(?:[?&]v=|youtu\.be/)([\w-]{11})")


def load(root: Path, audio: Path | None = None) -> list[Track]:
    """Read the recordings that have a file; how many have none is logged.

    Args:
        root: the folder with the three lists, or with `data`.
        audio: the folder with the recordings or features; `root/audio` by default.

    Returns:
        Tracks with the id of the recording, and that of its original as work. Covers
        are queries, originals references.

    Raises:
        DataError: if a list is missing or malformed, pyarrow is not installed, or no
            recording has a file.
    """
    root = files.existing_folder(root)
    audio = root / "audio" if audio is None else Path(audio)
    listed = [
        (split, row)
        for name, split in _SPLITS.items()
        for row in _read(
            root / name if (root / name).is_file() else root / "data" / name
        )
    ]
    found = files.recordings_by(lambda path: path.stem, audio)
    tracks: list[Track] = []
    videos: dict[str, str] = {}
    for split, row in listed:
        name = str(row["id"])
        if name in videos:
            raise DataError(f"{root}: the recording {name} is listed twice")
        video = _YOUTUBE_ID.search(row["youtube_url"] or "")
        videos[name] = video[1] if video else ""
        path = found.get(name) or found.get(videos[name])
        if path is not None:
            role: Role = "query" if row["is_cover"] else "reference"
            tracks.append(Track(name, str(row["original_id"]), str(path), split, role))
    if not tracks:
        raise DataError(
            f"{audio}: expected files named by id or by YouTube id, found none of them"
        )
    files.warn_of_missing("LyricCovers", len(listed), len(tracks), audio)
    return whole_test(tracks, videos)


def _read(path: Path) -> list[JsonObject]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DataError(
            f"{path}: Parquet needs pyarrow (pip install pyarrow)"
        ) from None
    columns = ["id", "original_id", "is_cover", "youtube_url"]
    try:
        names = parquet.read_schema(path).names
        if missing := [column for column in columns if column not in names]:
            raise DataError(
                f"{path}: expected the columns {', '.join(columns)}, found no "
                + ", ".join(missing)
            )
        rows: list[JsonObject] = parquet.read_table(path, columns=columns).to_pylist()
    except (OSError, ArrowException) as error:
        raise DataError(f"{path}: expected a Parquet file ({error})") from error
    for number, row in enumerate(rows, 1):
        if None in (row["id"], row["original_id"], row["is_cover"]):
            raise DataError(
                f"{path}: row {number}: expected an id, an original_id and is_cover"
            )
    return rows
