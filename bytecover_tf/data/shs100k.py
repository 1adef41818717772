"""SHS100K: recordings of Second Hand Songs on YouTube, in an official split.

Xu, Chen and Yang, "Key-invariant convolutional neural network toward efficient
cover song identification", ICME 2018; lists at github.com/NovaFrost/SHS100K. The audio
is not published: the videos are to be downloaded.

    list            a line a recording, six fields separated by tabs, no header:
                    set_id, ver_id, title, performer, YouTube URL, True or False
                    (whether it could once be downloaded)
    SHS100K-TRAIN   a line a recording: set_id, tab, ver_id
    SHS100K-VAL
    SHS100K-TEST
    audio/          recordings or `.npy` features, in subfolders or not, named
                    <set_id>_<ver_id>.<ext> or <YouTube id>.<ext>

A set is a work. The split is by set, with some 19 of 20 recordings in SHS100K-TRAIN.
The papers' split, 8:1:1 with 10 547 recordings in the test, is that of SHS100K2
(`bytecover_tf.data.shs100k2`). TPPNet and CQT-Net write the three lists as
<set_id>_<ver_id>, which is read as well.
"""

import logging
import re
from pathlib import Path
from typing import NamedTuple

from bytecover_tf.data import files
from bytecover_tf.data.split import whole_test
from bytecover_tf.data.track import Split, Track
from bytecover_tf.errors import DataError

_SPLIT_FILES: dict[str, Split] = {
    "SHS100K-TRAIN": "train",
    "SHS100K-VAL": "validation",
    "SHS100K-TEST": "test",
}
_log = logging.getLogger(__name__)
_FIELDS = "set_id, ver_id, title, performer, url, status"
_YOUTUBE_ID = re.compile(r"(?:[?&]v=|youtu\.be/)([\w-]{11})")


class Listed(NamedTuple):
    """What `list` says of a recording.

    Attributes:
        title: title of this version.
        performer: artist as Second Hand Songs names them.
        youtube: the video's id, or an empty string if the URL shows none.
    """

    title: str
    performer: str
    youtube: str


def load(root: Path, audio: Path | None = None) -> list[Track]:
    """Read SHS100K's tracks in their official split.

    Recordings without a file are left out, since videos vanish; how many is logged.

    Args:
        root: the folder with `list` and the three split files.
        audio: the folder with the recordings or features; `root/audio` by default.

    Returns:
        Tracks with the id `<set_id>_<ver_id>` and the set's id as work.

    Raises:
        DataError: if a list is missing or malformed, or no recording has a file.
    """
    root = files.existing_folder(root)
    audio = root / "audio" if audio is None else Path(audio)
    listed = read_list(root)
    found = files.recordings_by(lambda path: path.stem, audio)
    tracks = []
    splits = _read_splits(root, listed)
    for track_id, split in splits.items():
        path = found.get(track_id) or found.get(listed[track_id].youtube)
        if path is not None:
            tracks.append(Track(track_id, _set_of(track_id), str(path), split))
    if not tracks:
        raise DataError(
            f"{audio}: expected files named <set_id>_<ver_id> or by YouTube id as in "
            f"{root / 'list'}, found none of them"
        )
    files.warn_of_missing("SHS100K", len(splits), len(tracks), audio)
    videos = {track_id: one.youtube for track_id, one in listed.items()}
    return whole_test(tracks, videos)


def read_list(root: Path) -> dict[str, Listed]:
    """Read `list`.

    Args:
        root: the folder that holds it.

    Returns:
        What it says of each `<set_id>_<ver_id>`.

    Raises:
        DataError: if it is missing or malformed.
    """
    path = _find_list(root, "list")
    listed: dict[str, Listed] = {}
    for number, line in files.lines(path):
        # no CSV reader: quotation marks in titles are plain characters here
        fields = line.split("\t")
        if len(fields) != 6:
            raise DataError(
                f"{path}:{number}: expected six fields separated by tabs ({_FIELDS}), "
                f"found {len(fields)}"
            )
        set_id, ver_id, title, performer, url, _ = fields
        if not (set_id.isdecimal() and ver_id.isdecimal()):
            raise DataError(
                f"{path}:{number}: expected set_id and ver_id to be numbers, "
                f"found {set_id!r} and {ver_id!r}"
            )
        track_id = f"{set_id}_{ver_id}"
        if track_id in listed:
            raise DataError(f"{path}:{number}: {track_id} was listed before")
        video = _YOUTUBE_ID.search(url)
        listed[track_id] = Listed(title, performer, video[1] if video else "")
    return listed


def _find_list(root: Path, name: str) -> Path:
    """Return the path of a list, which SHS100K2 may have in `meta`."""
    within = root / "meta" / name
    return within if within.is_file() and not (root / name).is_file() else root / name


def _read_splits(root: Path, listed: dict[str, Listed]) -> dict[str, Split]:
    """Return the split of each recording, in the order of the lists.

    Where one list ends and the next begins, SHS100K2 and TPPNet have a set in both. It
    belongs to the later one, so that the test is whole.
    """
    parts = {name: _read_part(root, name, listed) for name in _SPLIT_FILES}
    later: set[str] = set()
    for name, part in reversed(parts.items()):
        kept = [track_id for track_id in part if _set_of(track_id) not in later]
        if left_out := len(part) - len(kept):
            _log.warning(
                "%s: %d recordings are of a set that a later list has, and left out",
                name,
                left_out,
            )
        later.update(map(_set_of, part))
        parts[name] = kept
    return {
        track_id: split
        for name, split in _SPLIT_FILES.items()
        for track_id in parts[name]
    }


def _set_of(track_id: str) -> str:
    return track_id.partition("_")[0]


def _read_part(root: Path, name: str, listed: dict[str, Listed]) -> list[str]:
    """Return the recordings of a list."""
    part: dict[str, None] = {}
    path = _find_list(root, name)
    for number, line in files.lines(path):
        fields = re.fullmatch(r"(\d+)[\t _](\d+)", line.strip())
        if fields is None:
            raise DataError(
                f"{path}:{number}: expected set_id and ver_id, found {line!r}"
            )
        track_id = f"{fields[1]}_{fields[2]}"
        if track_id in part:
            raise DataError(f"{path}:{number}: {track_id} was listed before")
        if track_id not in listed:
            raise DataError(f"{path}:{number}: {track_id} is not in {root / 'list'}")
        part[track_id] = None
    return list(part)
