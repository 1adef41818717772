"""Hands results from one process to another, large arrays by way of files.

In a pipe, an array is copied several times on both sides. A file that the receiver maps
is the only copy, and takes memory no sooner than it is used.
"""

from __future__ import annotations

import mmap
import os
import pickle
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

# Bytes from which on an array is handed over by a file: half an hour of features.
_LARGE = 2**24


@dataclass(frozen=True)
class Parcel:
    """A result on its way to another process, where it is unpacked once.

    Attributes:
        content: the result, pickled without its large arrays.
        files: with these.
    """

    content: bytes
    files: tuple[str, ...]

    @classmethod
    def pack(cls, result: Any, folder: str) -> Parcel:
        """Pack a result.

        Args:
            result: what `pickle` takes.
            folder: for the files; whoever made it removes those that nobody unpacks.
        """
        files: list[str] = []

        def is_small(buffer: pickle.PickleBuffer) -> bool:
            with buffer.raw() as array:
                if array.nbytes < _LARGE:
                    return True
                try:
                    files.append(_written(array, folder))
                except OSError:  # no room there
                    return True
                return False

        content = pickle.dumps(result, protocol=5, buffer_callback=is_small)
        return cls(content, tuple(files))

    def unpack(self) -> Any:
        """Return the result. Its arrays can be written to."""
        return pickle.loads(self.content, buffers=map(_mapped, self.files))


def _written(array: memoryview, folder: str) -> str:
    handle, name = tempfile.mkstemp(dir=folder)
    try:
        with open(handle, "wb") as file:
            file.write(array)
    except OSError:
        os.unlink(name)
        raise
    return name


def _mapped(name: str) -> mmap.mmap:
    with open(name, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    with suppress(PermissionError):  # Windows keeps what is mapped
        os.unlink(name)
    return mapped
