"""Archives of scores, which may be damaged."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from bytecover_tf.errors import DataError


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open a zip archive.

    Raises:
        DataError: the file is none.
    """
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a zip archive: {error}") from error


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a file of an archive.

    Raises:
        DataError: there is none of this name, or it is damaged.
    """
    try:
        return archive.read(name)
    except (KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{archive.filename}: {name}: {error}") from error
