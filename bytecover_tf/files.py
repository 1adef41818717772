"""Reading, writing, locking and recognising files, for every room that keeps some."""

from __future__ import annotations

import hashlib
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO, Any, TypeAlias, TypeVar

from bytecover_tf.errors import ByteCoverError
from bytecover_tf.terminal import warn

# Seconds to wait for a lock: an index over a million recordings is built in less.
_PATIENCE = 1800.0
# Bytes that the name of a file may have on most file systems.
_LONGEST_NAME = 255

SUMS = "SHA256SUMS"
"""A folder's list of checksums."""

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object, as `json.loads` returns it and `json.dumps` takes it."""

_Self = TypeVar("_Self", bound="Closing")


class Closing(ABC):
    """What `with` closes in the end."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held open."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place to write a file that appears at `path` once it is whole.

    A link stays, and what it leads to is replaced. A device gets what was written.

    Args:
        path: where the finished file stands; an older one is replaced.

    Yields:
        A path with the same suffix, in the same folder but for a device.

    Raises:
        OSError: it cannot be written. After any error `path` is as it was, unless it
            is a device, and nothing is left beside it.
    """
    if path.exists() and not path.is_file():
        with TemporaryDirectory() as folder:
            written = Path(folder) / path.name
            with naming(path, written):
                yield written
                path.write_bytes(written.read_bytes())
        return
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    beside = path.with_name(_unfinished_name(path))
    try:
        with naming(path, beside):
            yield beside
            with open(beside, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(beside, path)
    finally:
        # What went wrong before is what should be told.
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _unfinished_name(path: Path) -> str:
    """Return what a file is called until it is whole."""
    # Another process may be writing it as well.
    mark = f".{os.getpid()}.part{path.suffix}"
    room = _LONGEST_NAME - len(os.fsencode(f".{mark}"))
    return f".{os.fsencode(path.stem)[:room].decode(errors='ignore')}{mark}"


def is_unfinished(name: str) -> bool:
    """Tell whether a file's name is that of one which `replacing` never finished."""
    return name.startswith(".") and Path(name).stem.endswith(".part")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that it is never seen half-written.

    Args:
        path: where the finished file stands.
        content: its bytes, or text to encode as UTF-8.

    Raises:
        OSError: it cannot be written; what stood there is as it was.
    """
    with replacing(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def naming(path: Path, beside: Path | None = None) -> Iterator[None]:
    """Name a file in errors that do not, as that of a full disk, or name another.

    Args:
        path: the file.
        beside: what is written in its place meanwhile, of which nobody has heard.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None and error.filename != str(beside):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def flush(file: IO[Any]) -> None:
    """Put what was written to an open file on disk."""
    file.flush()
    os.fsync(file.fileno())


def lock(path: Path, wait: bool = False) -> IO[Any]:
    """Hold a lock until the returned file is closed.

    Windows has no such lock; there, one writer at a time is the user's care.

    Args:
        path: the lock's file, made if there is none.
        wait: whether to wait for the process that holds the lock, with a word on
            standard error, for `_PATIENCE` at most.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file cannot be made, or its file system has no locks.
    """
    file = open(path, "w")
    try:
        import fcntl

        _take(path, partial(fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB), wait)
    except ImportError:
        pass
    except BaseException:
        file.close()
        raise
    return file


def lock_if_possible(path: Path, wait: bool = False) -> AbstractContextManager[Any]:
    """Hold a lock as `lock` does, or none on a disk that has no locks.

    Raises:
        BlockingIOError: another process holds it.
    """
    try:
        return lock(path, wait)
    except BlockingIOError:
        raise
    except OSError:
        return nullcontext()


def _take(path: Path, take: Callable[[], None], wait: bool) -> None:
    """Take a lock, or wait until it is free."""
    started = time.monotonic()
    is_told = not wait
    while True:
        try:
            return take()
        except BlockingIOError as error:
            waited = time.monotonic() - started
            if not wait or waited > _PATIENCE:
                raise BlockingIOError(
                    error.errno, "another process holds the lock", str(path)
                ) from None
        except OSError as error:
            reason = f"cannot be locked ({error.strerror}); use a disk that has locks"
            raise OSError(error.errno, reason, str(path)) from None
        if waited > 2 and not is_told:
            warn(f"waiting for the process that holds {path}")
            is_told = True
        time.sleep(0.05)


def user_cache() -> Path:
    """Return the folder for what can be made again, `~/.cache/bytecover_tf`.

    `XDG_CACHE_HOME` names another place than `~/.cache`.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "bytecover_tf"


def content_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_listed(folder: Path, prefix: str, error: type[ByteCoverError]) -> None:
    """Compare files that come with the package with their checksums.

    Args:
        folder: holds `SHA256SUMS`, as `sha256sum` writes it.
        prefix: how the names of the files in this list begin.
        error: what to raise.

    Raises:
        ByteCoverError: of type `error`; a file is missing or damaged, or none is
            listed.
    """
    sums = folder / SUMS
    lines = sums.read_text().splitlines() if sums.is_file() else []
    listed = [line.split("  ", 1) for line in lines if f"  {prefix}" in line]
    if not listed:
        raise error(f"{sums}: does not list {prefix}; install the package again")
    for expected, name in listed:
        path = folder / name
        if not path.is_file() or content_hash(path) != expected:
            raise error(
                f"{path}: missing or damaged (its SHA-256 should be {expected}); "
                "install the package again"
            )


def leads_nowhere(path: str | Path) -> bool:
    """Tell whether there is a link at a path, but nothing where it leads."""
    return os.path.islink(path) and not os.path.exists(path)


def is_gone(path: str) -> bool:
    """Tell whether a file is certainly gone, rather than out of reach.

    It is out of reach where a link leads nowhere, as one to a disk that is away.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        places = (Path(path), *Path(path).parents)
        return not any(leads_nowhere(place) for place in places)
    except OSError:  # no permission, a disk that fails, a server that is away
        return False
    return False


def nearest_folder(path: str) -> str:
    """Return the deepest existing folder above a path."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def is_unchanged(path: str, size: int | None, mtime_ns: int | None) -> bool:
    """Tell whether a file exists with this size and time; a size of None never fits."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (size, mtime_ns) == (status.st_size, modified_ns(status))


def modified_ns(status: os.stat_result) -> int:
    """Return when a file was last changed, in nanoseconds since 1970.

    Dates that 64 bits cannot hold, as broken clocks and archives give them, become the
    nearest one that they can: 1677 or 2262.
    """
    return min(max(status.st_mtime_ns, -(2**63)), 2**63 - 1)


def json_object(
    text: str | bytes, name: object, error: type[ByteCoverError]
) -> JsonObject:
    """Return the JSON object that a text holds.

    Args:
        text: UTF-8.
        name: name of the file, for messages.
        error: what to raise.

    Raises:
        ByteCoverError: of type `error`; the text is something else.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as reason:
        raise error(f"{name}: damaged; expected a JSON object ({reason})") from None
    if not isinstance(value, dict):
        raise error(f"{name}: damaged; expected a JSON object, found {text[:40]!r}")
    return value
