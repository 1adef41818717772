"""Finding recordings in folders and reading the text files that list them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bytecover_tf.errors import DataError

# fmt: off
SUFFIXES = frozenset((
    ".aac", ".aif", ".aiff", ".flac", ".m4a", ".mka", ".mkv", ".mp3", ".mp4", ".npy",
    ".oga", ".ogg", ".opus", ".wav", ".webm", ".wma",
))
# fmt: on
"""Endings, in lower case, by which a file counts as a recording."""


def is_recording(path: Path) -> bool:
    """Tell whether a file's name is that of audio or of a `.npy` feature.

    Args:
        path: a file; it is not opened.

    Returns:
        False for hidden files (`._x.mp3` of macOS archives among them).
    """
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


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


def recordings(folder: Path) -> Iterator[Path]:
    """Walk over the recordings in a folder and its subfolders.

    Args:
        folder: an existing folder.

    Yields:
        Paths in sorted order; hidden files and folders are passed over.
    """
    for parent, children, names in os.walk(folder):
        children[:] = sorted(child for child in children if not child.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if is_recording(path):
                yield path


def recordings_by(key: Callable[[Path], str], folder: Path) -> dict[str, Path]:
    """Index the recordings of a folder, subfolders included.

    Args:
        key: gives the name under which a path is looked up.
        folder: where the recordings lie.

    Returns:
        The path of each key.

    Raises:
        DataError: if the folder is missing, holds no recording, or holds two with
            the same key.
    """
    found: dict[str, Path] = {}
    for path in recordings(existing_folder(folder)):
        if found.setdefault(key(path), path) is not path:
            raise DataError(
                f"{path}: {found[key(path)]} has the same name; expected one file a "
                "recording"
            )
    if not found:
        raise DataError(
            f"{folder}: expected recordings ({', '.join(sorted(SUFFIXES))}), found none"
        )
    return found


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
    try:
        with open(path, encoding="utf-8-sig") as file:
            numbered = enumerate(file, 1)
            return [(n, line.rstrip("\n")) for n, line in numbered if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text ({error})") from error
    except OSError as error:
        raise DataError(
            f"{path}: expected a text file ({error.strerror or error})"
        ) from error
