"""Covers80: 80 songs, each by two artists.

Ellis and Cotton, "The covers80 cover song data set", LabROSA 2007
(labrosa.ee.columbia.edu/projects/coversongs/covers80), as unpacked from covers80.tgz:

    coversongs/covers32k/
      list1.list        a line a song: <song>/<artist>+<album>+<nn>-<title>
      list2.list        the other version of the same songs, in the same order
      <song>/<artist>+<album>+<nn>-<title>.mp3

The archive holds 164 recordings, because three songs have further versions; the
benchmark is the 160 that the lists name.
"""

import logging
from pathlib import Path
from typing import NamedTuple

from bytecover_tf.data import files
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError

_SONGS = 80

_log = logging.getLogger(__name__)


def load(root: Path) -> list[Track]:
    """Read the two versions of each song; all against all, so every role is `both`.

    Args:
        root: the folder `covers32k`, or one that holds it or `coversongs/covers32k`.
            The recordings may have been converted: any audio ending, or `.npy`,
            will do.

    Returns:
        Tracks of the split `test`, the two versions of a song side by side. Their id
        is the line in the list, their work the song's folder.

    Raises:
        DataError: if a list is missing or malformed, the lists do not match, or a
            recording that they name is missing.
    """
    folder = _find(files.existing_folder(root))
    songs, versions = _read(folder / "list1.list"), _read(folder / "list2.list")
    if len(songs) != len(versions):
        raise DataError(
            f"{folder / 'list2.list'}: expected {len(songs)} songs as in list1.list, "
            f"found {len(versions)}"
        )
    found = files.recordings_by(
        lambda path: path.relative_to(folder).with_suffix("").as_posix(), folder
    )
    tracks: dict[str, Track] = {}
    listed: set[str] = set()
    for first, second in zip(songs, versions, strict=True):
        if first.song != second.song:
            raise DataError(
                f"{second.where}: expected a version of {first.song!r} as in "
                f"{first.where}, found {second.song!r}"
            )
        if first.song in listed:
            raise DataError(f"{first.where}: {first.song!r} was listed before")
        listed.add(first.song)
        for entry in first, second:
            if entry.name not in found:
                raise DataError(
                    f"{entry.where}: expected the recording {folder / entry.name}.*, "
                    "found none"
                )
            if entry.name in tracks:
                raise DataError(f"{entry.where}: {entry.name!r} was listed before")
            tracks[entry.name] = Track(entry.name, entry.song, str(found[entry.name]))
    if len(listed) != _SONGS:
        _log.warning("Covers80: %d songs; %d were published", len(listed), _SONGS)
    return list(tracks.values())


class _Entry(NamedTuple):
    where: str
    name: str
    song: str


def _find(root: Path) -> Path:
    for folder in root, root / "covers32k", root / "coversongs" / "covers32k":
        if (folder / "list1.list").is_file():
            return folder
    raise DataError(
        f"{root}: expected list1.list here, in covers32k or in coversongs/covers32k"
    )


def _read(path: Path) -> list[_Entry]:
    entries = []
    for number, line in files.lines(path):
        name = files.composed(line.strip())
        song, _, recording = name.partition("/")
        if not (song and recording) or "/" in recording:
            raise DataError(
                f"{path}:{number}: expected <song>/<recording>, found {name!r}"
            )
        entries.append(_Entry(f"{path}:{number}", name, song))
    return entries
