"""Routes that show and change the catalogue."""

from __future__ import annotations

import mimetypes
import os

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from bytecover_tf.files import JsonObject
from bytecover_tf.server.asking import PROBLEMS, begin, result_of, service_of
from bytecover_tf.server.jobs import Job
from bytecover_tf.server.library import recording_facts
from bytecover_tf.server.pool import Task
from bytecover_tf.server.service import Service

router = APIRouter(tags=["catalogue"])

# Outlines of waveforms that are kept.
_MOST_PEAKS = 2000

for _ending, _kind in {
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".weba": "audio/webm",
}.items():
    mimetypes.add_type(_kind, _ending)


@router.get("/api/works")
def works(
    request: Request,
    text: str = "",
    start: int = Query(0, ge=0),
    count: int = Query(100, ge=1, le=1000),
) -> JsonObject:
    """List the works of the catalogue with their recordings.

    Those come first that have most. Every word of `text` must be found in the names of
    a work's recordings, or in their paths.
    """
    return service_of(request).library.search(text, start, count)


@router.get("/api/recordings/{name}")
def recording(request: Request, name: str) -> JsonObject:
    """Show a recording of the catalogue and its versions."""
    library = service_of(request).library
    found = library.find(name)
    versions = [one for one in library.versions(found) if one.id != name]
    return {
        **recording_facts(found),
        "versions": [recording_facts(one) for one in versions],
    }


@router.delete("/api/recordings/{name}", status_code=204)
def remove_recording(request: Request, name: str) -> None:
    """Take a recording out of the catalogue; its file stays."""
    service_of(request).library.remove(name)


@router.api_route(
    "/api/recordings/{name}/audio",
    methods=["GET", "HEAD"],
    response_class=FileResponse,
)
def audio(request: Request, name: str) -> Response:
    """Return the file of a recording of the catalogue, or a range of it."""
    path = _path(service_of(request), name)
    kind = mimetypes.guess_type(path)[0] or ""
    if not kind.startswith(("audio/", "video/")):
        kind = "application/octet-stream"
    return FileResponse(path, media_type=kind)


@router.get("/api/recordings/{name}/peaks")
async def peaks(request: Request, name: str) -> list[float]:
    """Return the outline of a recording's waveform."""
    service = service_of(request)
    if name not in service.peaks:
        path = await run_in_threadpool(_path, service, name)
        task = Task("peaks", {"path": path}, service.limits.seconds)
        with service.gate:
            found = await result_of(request, task)
        while len(service.peaks) >= _MOST_PEAKS:
            service.peaks.pop(next(iter(service.peaks)))
        service.peaks[name] = found
    return service.peaks[name]


class Paths(BaseModel):
    """What to add."""

    paths: list[str]


@router.post("/api/recordings", status_code=202, responses=PROBLEMS)
async def add_recordings(request: Request, given: Paths) -> JsonObject:
    """Add files, or all files of folders, below the allowed folders; begins a job."""
    service = service_of(request)
    paths = [service.folders.check(path) for path in given.paths]
    if not paths:
        raise HTTPException(422, "expected at least one path")
    seconds = service.limits.job_seconds
    task = Task("index", {"paths": paths}, seconds, is_long=True, continues=True)
    job = Job("index", ", ".join(paths), task)
    return begin(service, job, service.library.forget)


def _path(service: Service, name: str) -> str:
    found = service.library.find(name)
    if not os.path.isfile(found.path):
        raise HTTPException(404, f"{found.path}: the file is gone")
    return found.path
