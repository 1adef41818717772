"""The recordings of a request: sent along, on the disk, or in the catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import anyio
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from bytecover_tf.server.bodies import take_up_to
from bytecover_tf.server.library import Library
from bytecover_tf.server.limits import Limits

# Bytes of a text in a form, and how many parts it may have.
_MOST_TEXT = 2**14
_MOST_PARTS = 16


@dataclass(frozen=True)
class Source:
    """A recording that a request is about.

    Attributes:
        path: its file.
        name: what to call it.
        id: of a recording in the catalogue, else empty.
    """

    path: str
    name: str
    id: str = ""


class Folders:
    """Folders from which files may be read by their path.

    Args:
        allowed: the folders.
    """

    def __init__(self, allowed: Iterable[str | Path]) -> None:
        self.tops = [os.path.abspath(folder) for folder in allowed]
        self._real = [os.path.realpath(top) for top in self.tops]
        self._prefixes = tuple(os.path.join(top, "") for top in self._real)

    def check(self, path: str) -> str:
        """Return a path in full, with its links as they are, as `index` keeps paths.

        Raises:
            HTTPException: 403, that is not below an allowed folder; 404, there is
                nothing.
        """
        if "\0" in path:
            raise HTTPException(422, "a path has no zero bytes")
        full = os.path.abspath(os.path.expanduser(path))
        real = os.path.realpath(full)
        if real not in self._real and not real.startswith(self._prefixes):
            raise HTTPException(403, f"{path}: not in a folder given with --allow")
        if not os.path.exists(real):
            raise HTTPException(404, f"{path}: there is no such file or folder")
        return full


class Form:
    """What a request has sent.

    Attributes:
        texts: by name of the field.
        files: by name of the field, where it lies and what it is called.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.files: dict[str, Source] = {}

    def source(self, field: str, folders: Folders, library: Library) -> Source:
        """Return the recording that a field names or holds.

        Args:
            field: a file, the id of a recording in the catalogue, or a path.
            folders: where paths may lead.
            library: the catalogue.

        Raises:
            HTTPException: there is none, or it may not be read.
        """
        if field in self.files:
            return self.files[field]
        text = self.texts.get(field, "")
        if not text:
            raise HTTPException(422, f"expected {field!r}: a file or a path")
        recording = library.get(text)
        if recording is not None:
            return Source(recording.path, recording.label, recording.id)
        return Source(folders.check(text), os.path.basename(text))

    def number(self, field: str, default: int, most: int) -> int:
        """Return a whole number of a field.

        Raises:
            HTTPException: it is none, or not from 1 to `most`.
        """
        text = self.texts.get(field, str(default))
        # Longer ones are not even converted.
        is_number = text.isdecimal() and len(text) < 10
        if not is_number or not 1 <= int(text) <= most:
            raise HTTPException(
                422, f"expected {field!r} from 1 to {most}, found {text[:40]!r}"
            )
        return int(text)


async def receive_form(request: Request, limits: Limits, folder: str) -> Form:
    """Receive a form.

    Args:
        request: multipart/form-data.
        limits: on size and time.
        folder: where files in it are put, under names that say nothing.

    Raises:
        HTTPException: 413, it is too large; 408, too slow; 415, no form; 400, damaged.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise HTTPException(415, "expected multipart/form-data")
    take_up_to(request, limits.upload_bytes)
    try:
        receiver = _Receiver(folder, options[b"boundary"])
    except FormParserError as error:
        raise HTTPException(400, f"not a form ({error})") from None
    try:
        with anyio.fail_after(limits.seconds):
            async for chunk in request.stream():
                await run_in_threadpool(receiver.write, chunk)
            await run_in_threadpool(receiver.finish)
    except TimeoutError:
        raise HTTPException(
            408, f"sending took longer than the {limits.seconds:.0f} s that it may"
        ) from None
    except FormParserError as error:
        raise HTTPException(400, f"not a form ({error})") from None
    except ClientDisconnect:
        raise HTTPException(400, "the client has gone") from None
    finally:
        receiver.close()
    return receiver.form


class _Receiver:
    """Takes a form apart as it comes, and puts files on disk at once."""

    def __init__(self, folder: str, boundary: bytes) -> None:
        self.form = Form()
        self._folder = folder
        self._parts = 0
        # Of the part that is coming: its headers, the one that is coming, and what it
        # holds, a file or a text.
        self._headers: dict[bytes, bytes] = {}
        self._header = b"", b""
        self._field = ""
        self._name: str | None = None
        self._file: IO[bytes] | None = None
        self._text = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._take_header_field,
                "on_header_value": self._take_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._take,
                "on_part_end": self._end,
            },
        )

    def write(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def finish(self) -> None:
        self._parser.finalize()

    def close(self) -> None:
        """Close the file that was coming."""
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise HTTPException(413, f"expected a form of at most {_MOST_PARTS} parts")
        self._headers = {}

    def _take_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = self._header[0] + data[start:end], b""

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        field, value = self._header
        self._header = field, value + data[start:end]
        if len(field) + len(value) > _MOST_TEXT:
            raise HTTPException(413, f"expected headers of at most {_MOST_TEXT} bytes")

    def _end_header(self) -> None:
        field, value = self._header
        self._headers[field.lower()] = value
        self._header = b"", b""

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        texts = {key: value.decode(errors="replace") for key, value in options.items()}
        if b"name" not in texts:
            raise HTTPException(400, "not a form (a part has no name)")
        self._field = texts[b"name"]
        self._name = texts.get(b"filename")
        self._text = b""
        if self._name is not None:
            self._file = NamedTemporaryFile(dir=self._folder, delete=False)

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _MOST_TEXT:
            raise HTTPException(
                413, f"{self._field}: expected a text of at most {_MOST_TEXT} bytes"
            )

    def _end(self) -> None:
        if self._file is None:
            self.form.texts[self._field] = self._text.decode(errors="replace")
            return
        name = os.path.basename(self._name or "recording")
        size = self._file.tell()
        self._file.close()
        self.form.files[self._field] = Source(self._file.name, name)
        self._file = None
        if not size:
            raise HTTPException(422, f"{name}: is empty (0 bytes)")
