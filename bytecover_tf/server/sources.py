"""The recordings of a request: sent along, on the disk, or in the catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

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
        self.tops = [os.path.realpath(folder) for folder in allowed]
        self._prefixes = [os.path.join(top, "") for top in self.tops]

    def check(self, path: str) -> str:
        """Return where a path really leads.

        Raises:
            HTTPException: 403, that is not below an allowed folder; 404, there is
                nothing.
        """
        if "\0" in path:
            raise HTTPException(422, "a path has no zero bytes")
        real = os.path.realpath(os.path.expanduser(path))
        if not any(
            real == top or real.startswith(f"{top}{os.sep}") for top in self.tops
        ):
            raise HTTPException(403, f"{path}: not in a folder given with --allow")
        if not os.path.exists(real):
            raise HTTPException(404, f"{path}: there is no such file or folder")
        return real


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
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise HTTPException(
                422, f"expected {field!r} from 1 to {most}, found {text!r}"
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
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.upload_bytes:
        raise _too_large(limits)
    receiver = _Receiver(folder, options[b"boundary"])
    size = 0
    try:
        with anyio.fail_after(limits.seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.upload_bytes:
                    raise _too_large(limits)
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
    return receiver.form


class _Receiver:
    """Takes a form apart as it comes, and puts files on disk at once."""

    def __init__(self, folder: str, boundary: bytes) -> None:
        self.form = Form()
        self._parser = FormParser(
            "multipart/form-data",
            self._take_text,
            self._take_file,
            boundary=boundary,
            config={
                "UPLOAD_DIR": folder,
                "UPLOAD_DELETE_TMP": False,
                "MAX_MEMORY_FILE_SIZE": 0,
                "MAX_FIELDS": _MOST_PARTS,
                "MAX_FIELD_SIZE": _MOST_TEXT,
            },
        )

    def write(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def finish(self) -> None:
        self._parser.finalize()

    def _take_text(self, field: Any) -> None:
        name, value = field.field_name, field.value or b""
        self.form.texts[name.decode(errors="replace")] = value.decode(errors="replace")

    def _take_file(self, file: Any) -> None:
        name = (file.file_name or b"").decode(errors="replace") or "recording"
        if not file.size:
            raise HTTPException(422, f"{name}: is empty (0 bytes)")
        place = os.fsdecode(file.actual_file_name)
        file.close()
        field = file.field_name.decode(errors="replace")
        self.form.files[field] = Source(place, os.path.basename(name))


def _too_large(limits: Limits) -> HTTPException:
    most = limits.upload_bytes / 2**20
    return HTTPException(413, f"larger than the {most:.0f} MiB that may be sent")
