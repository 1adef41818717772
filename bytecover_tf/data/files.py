"""Finding recordings in folders and reading the text files that list them."""

from __future__ import annotations

import logging
import mimetypes
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bytecover_tf.errors import DataError
from bytecover_tf.files import is_unfinished, leads_nowhere

_log = logging.getLogger(__name__)

# fmt: off
SUFFIXES = frozenset((
    ".3g2", ".3ga", ".3gp", ".aac", ".ac3", ".adts", ".aif", ".aifc", ".aiff", ".amr",
    ".ape", ".asf", ".au", ".avi", ".bwf", ".caf", ".dff", ".divx", ".dsf", ".dts",
    ".dtshd", ".eac3", ".ec3", ".f4a", ".f4v", ".flac", ".flv", ".gsm", ".m2ts", ".m4a",
    ".m4b", ".m4p", ".m4r", ".m4v", ".mka", ".mkv", ".mlp", ".mov", ".mp1", ".mp2",
    ".mp3", ".mp4", ".mpa", ".mpc", ".mpeg", ".mpg", ".mpga", ".mts", ".mxf", ".npy",
    ".nut", ".oga", ".ogg", ".ogm", ".ogv", ".ogx", ".oma", ".opus", ".qt", ".ra",
    ".rf64", ".rm", ".rmvb", ".snd", ".sph", ".spx", ".tak", ".thd", ".ts", ".tta",
    ".vob", ".voc", ".w64", ".wav", ".wave", ".webm", ".weba", ".wma", ".wmv", ".wtv",
    ".wv",
))
# fmt: on
"""Endings, in lower case, by which a file counts as a recording."""

FEATURES = ".npy"
"""Ending of features in place of audio."""

PUBLISHED = ".h5"
"""Ending of features that were published in place of audio."""

# What systems and network drives put among the files of their users.
_RUBBISH_FILES = {".DS_Store", "Thumbs.db", "desktop.ini"}
_RUBBISH_FOLDERS = {"__MACOSX", ".AppleDouble", "@eaDir", "$RECYCLE.BIN"}


def is_recording(path: Path) -> bool:
    """Tell whether a file's name is that of audio, video or a `.npy` feature.

    Args:
        path: a file; it is not opened.

    Returns:
        False for `._x.mp3`, which macOS writes beside `x.mp3`, and for `.x.part.mp3`,
        which `tag` leaves there if it is killed. Other names may begin with a dot, as
        those of some bands do.
    """
    return path.suffix.lower() in SUFFIXES and not _is_rubbish(path.name)


def is_rubbish_folder(name: str) -> bool:
    """Tell whether a folder's name is one that no user gave, or that of a bin."""
    return name in _RUBBISH_FOLDERS or name.startswith(".Trash")


def _is_catalogue(folder: str) -> bool:
    return os.path.isdir(os.path.join(folder, "recordings.lance"))


def _is_rubbish(name: str) -> bool:
    return name.startswith("._") or name in _RUBBISH_FILES or is_unfinished(name)


def existing_folder(path: str | os.PathLike[str]) -> Path:
    """Return `path` if it is a folder.

    Args:
        path: where a data set should lie.

    Returns:
        The same path.

    Raises:
        DataError: if there is no folder of this name.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder, found none")
    return folder


@dataclass
class Found:
    """What lies in a folder and its subfolders.

    Attributes:
        recordings: files with the names of recordings, sorted folder by folder.
        others: files with other names, rubbish of the system left out.
        unreadable: reason by path, for each folder that could not be looked into, and
            each link that leads nowhere.
    """

    recordings: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)

    def add(self, other: Found) -> None:
        """Take over what lies in another folder."""
        self.recordings += other.recordings
        self.others += other.others
        self.unreadable.update(other.unreadable)

    def left_out(self) -> list[str]:
        """Return a line for each ending that is not a recording's, and each failure."""
        by_ending: dict[str, list[Path]] = {}
        for path in self.others:
            by_ending.setdefault(path.suffix.lower() or "no ending", []).append(path)
        return [
            f"left out, not audio by name: {len(paths)} with {ending}, such as "
            f"{paths[0]}"
            if len(paths) > 1
            else f"left out, not audio by name: {paths[0]}"
            for ending, paths in sorted(by_ending.items())
        ] + [
            f"left out, cannot be looked into: {path}: {reason}"
            for path, reason in self.unreadable.items()
        ]


def search(folder: Path) -> Found:
    """Look for recordings in a folder and its subfolders.

    Links to folders elsewhere are followed; whatever links form, each folder is
    searched once. Catalogues among them are passed over.

    Args:
        folder: an existing folder.
    """
    found = Found()

    def note(error: OSError) -> None:
        found.unreadable[Path(error.filename)] = error.strerror or str(error)

    top = os.path.realpath(folder)
    seen = {top}

    def is_new(path: str) -> bool:
        """Whether a folder is to be searched here; a link may lead to another's."""
        if not os.path.islink(path):
            return True
        target = os.path.realpath(path)
        is_inside = os.path.commonpath([top, target]) in (top, target)
        if is_inside or target in seen:
            return False
        seen.add(target)
        return True

    for parent, children, names in os.walk(folder, onerror=note, followlinks=True):
        children[:] = sorted(
            child
            for child in children
            if not is_rubbish_folder(child)
            and not _is_catalogue(os.path.join(parent, child))
            and is_new(os.path.join(parent, child))
        )
        for name in sorted(names):
            path = Path(parent, name)
            if is_recording(path):
                found.recordings.append(path)
            elif leads_nowhere(path):
                found.unreadable[path] = "a link that leads nowhere"
            elif not _is_rubbish(name):
                found.others.append(path)
    return found


def search_all(paths: Iterable[str | Path]) -> Found:
    """Gather files, and the recordings in folders.

    Args:
        paths: folders, and files of any name, which need not exist.
    """
    found = Found()
    for path in map(Path, paths):
        if path.is_dir():
            found.add(search(path))
        else:
            found.recordings.append(path)
    return found


def recordings(folder: Path) -> list[Path]:
    """Return the recordings in a folder and its subfolders.

    Args:
        folder: an existing folder.

    Returns:
        Paths in sorted order.

    Raises:
        DataError: a folder in it cannot be looked into, nor what may be a link to a
            folder.
    """
    found = search(folder)
    for path, reason in found.unreadable.items():
        # Such as a picture's, or what Emacs leaves of a file that is being edited.
        is_file = mimetypes.guess_type(path.name)[0] or path.name.startswith(".#")
        if leads_nowhere(path) and is_file:
            _log.warning("%s: %s, and is left out", path, reason)
            continue
        raise DataError(f"{path}: cannot be looked into: {reason}")
    return found.recordings


def recordings_by(
    key: Callable[[Path], str], folder: Path, published: bool = False
) -> dict[str, Path]:
    """Index the recordings of a folder, subfolders included.

    Args:
        key: gives the name under which a path is looked up.
        folder: where the recordings lie.
        published: whether features that were published in place of audio count
            (`stores.published_features`).

    Returns:
        The path of each key, `composed`.

    Raises:
        DataError: if the folder is missing, holds no recording, or holds two with
            the same key.
    """
    found: dict[str, Path] = {}
    paths = recordings(existing_folder(folder))
    if published:
        paths += [
            path for path in search(folder).others if path.suffix.lower() == PUBLISHED
        ]
    for path in paths:
        first = found.setdefault(composed(key(path)), path)
        if first is not path:
            raise DataError(
                f"{path}: {first} has the same name; expected one file a recording"
            )
    if not found:
        raise DataError(
            f"{folder}: expected recordings ({', '.join(sorted(SUFFIXES))}), found none"
        )
    return found


def composed(name: str) -> str:
    """Return a name with each accented letter as one character (NFC).

    Some systems write it as two, so that one name has two forms which look alike.
    """
    return unicodedata.normalize("NFC", name)


def as_on_disk(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder, its accents as the file system has them.

    See `composed`: a list from one system may stand beside files from another.

    Args:
        folder: where the file should be.
        name: the name in a list.

    Returns:
        The path as it is listed, if there is no file in any form.
    """
    listed = folder / name
    forms = (folder / unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    return next((path for path in (listed, *forms) if path.exists()), listed)


def lines(path: Path) -> list[tuple[int, str]]:
    """Read a text file.

    Args:
        path: UTF-8 text, with or without byte order mark.

    Returns:
        The lines that are not blank, each with its number from 1, without the line
        end.

    Raises:
        DataError: if the file is missing or is not UTF-8 text.
    """
    with reading_text(path, "a text file"), open(path, encoding="utf-8-sig") as file:
        numbered = enumerate(file, 1)
        return [(n, line.rstrip("\n")) for n, line in numbered if line.strip()]


@contextmanager
def reading_text(path: Path, expected: str) -> Iterator[None]:
    """Name the file if it cannot be read.

    Args:
        path: the file that is read meanwhile.
        expected: what it should be.

    Raises:
        DataError: the file is missing or is not UTF-8 text.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text ({error})") from error
    except OSError as error:
        raise DataError(
            f"{path}: expected {expected} ({error.strerror or error})"
        ) from error


def warn_of_missing(name: str, listed: int, found: int, folder: Path) -> None:
    """Log how many recordings of a data set have no file, if there are any.

    Args:
        name: of the data set.
        listed: number of its recordings.
        found: number of those with a file.
        folder: where the files are looked for.
    """
    if listed > found:
        _log.warning(
            "%s: %d of %d recordings have no file in %s and are left out",
            name,
            listed - found,
            listed,
            folder,
        )
