"""What can be asked of a server."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import Any

import anyio
from fastapi import APIRouter, Query, Request
from fastapi.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from bytecover_tf import __version__
from bytecover_tf.errors import ByteCoverError
from bytecover_tf.server.access import COOKIE, Guard
from bytecover_tf.server.jobs import Job
from bytecover_tf.server.library import recording_facts
from bytecover_tf.server.pool import Task
from bytecover_tf.server.service import Service
from bytecover_tf.server.sources import Form, receive_form

router = APIRouter()

_LINES = "application/x-ndjson"
_MOST_MATCHES = 100
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


class Problem(BaseModel):
    """Why a request was not done."""

    error: str


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The token is missing or wrong."},
    403: {"model": Problem, "description": "That path may not be read."},
    413: {
        "model": Problem,
        "description": "It is too large, or needs too much memory.",
    },
    415: {"model": Problem, "description": "It is not multipart/form-data."},
    422: {"model": Problem, "description": "It holds no music that can be decoded."},
    429: {"model": Problem, "description": "Too many requests wait already."},
    503: {"model": Problem, "description": "It took too long, or its worker died."},
}
_SOURCE = (
    "a file; or as text the id of a recording in the catalogue, or the path of a file "
    "in a folder given with --allow"
)


def _form(**fields: str) -> dict[str, Any]:
    """Describe the fields of a form."""
    properties = {
        name: {"type": "string", "description": text} for name, text in fields.items()
    }
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"content": {"multipart/form-data": {"schema": schema}}}}


def _service(request: Request) -> Service:
    return request.app.state.service


@router.get("/health", tags=["operation"])
async def health() -> dict[str, str]:
    """Tell that the server runs."""
    return {"status": "ok"}


@router.get("/ready", tags=["operation"], responses={503: {"model": Problem}})
async def ready(request: Request) -> dict[str, int]:
    """Tell whether a request would be taken."""
    pool = _service(request).pool
    if not pool.ready:
        raise HTTPException(503, "no worker is ready")
    return {"workers": pool.ready}


@router.get("/metrics", tags=["operation"])
def metrics(request: Request) -> Response:
    """Return figures for Prometheus."""
    return PlainTextResponse(
        _service(request).metrics.text(), media_type="text/plain; version=0.0.4"
    )


@router.get("/api/about", tags=["operation"])
def about(request: Request) -> dict[str, Any]:
    """Say what is served, and what a request may take."""
    service = _service(request)
    return {
        "version": __version__,
        "catalogue": os.path.basename(service.library.address.rstrip("/")),
        "recordings": service.library.count,
        "works": service.library.works,
        "folders": service.folders.tops,
        "upload_bytes": service.limits.upload_bytes,
        "seconds": service.limits.seconds,
    }


class Token(BaseModel):
    """What lets a browser in."""

    token: str


@router.post("/api/session", tags=["operation"], responses={401: {"model": Problem}})
async def begin_session(request: Request, given: Token) -> Response:
    """Give a browser a cookie for the token."""
    guard: Guard = request.state.guard
    if guard.needs_token and not guard.knows(given.token):
        await asyncio.sleep(1)
        raise HTTPException(401, "that is not the token")
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE,
        guard.cookie,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post(
    "/api/identify",
    tags=["identification"],
    responses=_PROBLEMS,
    openapi_extra=_form(file=_SOURCE, top="matches to return, 10 by default"),
)
async def identify(request: Request) -> Response:
    """Tell which works of the catalogue a recording is a version of.

    With `Accept: application/x-ndjson` the answer comes as lines: what is being done,
    the best matches so far, and last the whole answer or an error.
    """
    service = _service(request)

    def task(form: Form) -> Task:
        source = form.source("file", service.folders, service.library)
        arguments = {
            "path": source.path,
            "name": source.name,
            "top": form.number("top", 10, _MOST_MATCHES),
        }
        return Task("identify", arguments, service.limits.seconds)

    return await _answer(request, task)


@router.post(
    "/api/compare",
    tags=["identification"],
    responses=_PROBLEMS,
    openapi_extra=_form(first=_SOURCE, second=_SOURCE),
)
async def compare(request: Request) -> Response:
    """Tell whether two recordings perform one work, and where they match."""
    service = _service(request)

    def task(form: Form) -> Task:
        sources = [
            form.source(field, service.folders, service.library)
            for field in ("first", "second")
        ]
        arguments = {
            "paths": tuple(source.path for source in sources),
            "names": tuple(source.name for source in sources),
        }
        return Task("compare", arguments, service.limits.seconds)

    return await _answer(request, task)


@router.get("/api/answers/{answer}/picture", tags=["identification"])
async def answer_picture(
    request: Request, answer: str, recording: str | None = None
) -> Response:
    """Show where a query of a while ago and a recording match."""
    kept = _service(request).answers.get(answer)
    if kept is None:
        raise HTTPException(404, "that answer is no longer known; ask again")
    second = recording if len(kept) == 1 else kept[1]
    if second is None:
        raise HTTPException(422, "expected the id of a recording")
    return await _picture(request, first=kept[0], second=second)


@router.get("/api/picture", tags=["identification"])
async def picture(request: Request, first: str, second: str) -> Response:
    """Show where two recordings of the catalogue match."""
    return await _picture(request, first=first, second=second)


@router.get("/api/works", tags=["catalogue"])
def works(
    request: Request,
    text: str = "",
    start: int = Query(0, ge=0),
    count: int = Query(100, ge=1, le=1000),
) -> dict[str, Any]:
    """List the works of the catalogue with their recordings.

    Those come first that have most. Every word of `text` must be found in the names of
    a work's recordings, or in their paths.
    """
    return _service(request).library.search(text, start, count)


@router.get("/api/recordings/{name}", tags=["catalogue"])
def recording(request: Request, name: str) -> dict[str, Any]:
    """Show a recording of the catalogue and its versions."""
    library = _service(request).library
    found = library.get(name)
    if found is None:
        raise HTTPException(404, f"{name}: there is no such recording")
    versions = [one for one in library.versions(found) if one.id != name]
    return {
        **recording_facts(found),
        "versions": [recording_facts(one) for one in versions],
    }


@router.delete("/api/recordings/{name}", status_code=204, tags=["catalogue"])
def remove_recording(request: Request, name: str) -> None:
    """Take a recording out of the catalogue; its file stays."""
    if not _service(request).library.remove(name):
        raise HTTPException(404, f"{name}: there is no such recording")


@router.api_route(
    "/api/recordings/{name}/audio",
    methods=["GET", "HEAD"],
    tags=["catalogue"],
    response_class=FileResponse,
)
def audio(request: Request, name: str) -> Response:
    """Return the file of a recording of the catalogue, or a range of it."""
    path = _path(_service(request), name)
    kind = mimetypes.guess_type(path)[0] or ""
    if not kind.startswith(("audio/", "video/")):
        kind = "application/octet-stream"
    return FileResponse(path, media_type=kind)


@router.get("/api/recordings/{name}/peaks", tags=["catalogue"])
async def peaks(request: Request, name: str) -> list[float]:
    """Return the outline of a recording's waveform."""
    service = _service(request)
    if name not in service.peaks:
        path = await run_in_threadpool(_path, service, name)
        task = Task("peaks", {"path": path}, service.limits.seconds)
        with service.gate:
            found = await _result(request, task)
        while len(service.peaks) >= _MOST_PEAKS:
            service.peaks.pop(next(iter(service.peaks)))
        service.peaks[name] = found
    return service.peaks[name]


class Paths(BaseModel):
    """What to add."""

    paths: list[str]


@router.post(
    "/api/recordings", status_code=202, tags=["catalogue"], responses=_PROBLEMS
)
async def add_recordings(request: Request, given: Paths) -> dict[str, Any]:
    """Add files, or all files of folders, below the allowed folders; begins a job."""
    service = _service(request)
    paths = [service.folders.check(path) for path in given.paths]
    if not paths:
        raise HTTPException(422, "expected at least one path")
    name = ", ".join(map(os.path.basename, paths))
    task = Task("index", {"paths": paths}, service.limits.job_seconds, is_long=True)
    job = Job("index", name, task)
    return _begin(service, job, service.library.forget).to_dict()


@router.get("/api/jobs", tags=["jobs"])
async def jobs(request: Request) -> list[dict[str, Any]]:
    """List the jobs, the latest first, without their results."""
    return [job.to_dict(with_result=False) for job in _service(request).jobs.all()]


@router.get("/api/jobs/{name}", tags=["jobs"])
async def job(request: Request, name: str) -> dict[str, Any]:
    """Show how far a job is, and its result once it is done."""
    return _job(request, name).to_dict()


@router.delete("/api/jobs/{name}", status_code=204, tags=["jobs"])
async def cancel_job(request: Request, name: str) -> None:
    """End a job, or forget one that has ended."""
    _service(request).jobs.cancel(_job(request, name))


def _job(request: Request, name: str) -> Job:
    found = _service(request).jobs.get(name)
    if found is None:
        raise HTTPException(404, f"{name}: there is no such job")
    return found


def _path(service: Service, name: str) -> str:
    found = service.library.get(name)
    if found is None:
        raise HTTPException(404, f"{name}: there is no such recording")
    if not os.path.isfile(found.path):
        raise HTTPException(404, f"{found.path}: the file is gone")
    return found.path


def _begin(service: Service, job: Job, after: Callable[[], None]) -> Job:
    return service.jobs.begin(job, service.pool.submit, after)


async def _picture(request: Request, **arguments: Any) -> Response:
    service = _service(request)
    with service.gate:
        task = Task("picture", arguments, service.limits.seconds)
        return JSONResponse(await _result(request, task))


async def _answer(request: Request, make_task: Callable[[Form], Task]) -> Response:
    """Receive a form, have its task done, and answer as the client wants it."""
    service = _service(request)
    with ExitStack() as stack:
        # Before anything is received: who cannot be served need not send.
        stack.enter_context(service.gate)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bytecover-"))
        form = await receive_form(request, service.limits, folder)
        task = await run_in_threadpool(make_task, form)
        if _LINES in request.headers.get("accept", ""):
            return _Lines(_lines(request, task), stack.pop_all())
        return JSONResponse(_kept(service, await _result(request, task)))


def _kept(service: Service, found: dict[str, Any]) -> dict[str, Any]:
    """Return an answer, and keep what pictures of it are drawn from."""
    answer = found["answer"]
    service.metrics.verdicts.labels(answer["verdict"]).inc()
    return {**answer, "answer": service.answers.keep(found["chroma"])}


async def _result(request: Request, task: Task) -> Any:
    async for _ in _events(request, task):
        pass
    return task.result.result()


async def _events(request: Request, task: Task) -> AsyncIterator[dict[str, Any]]:
    """Have a task done; yield what it emits until it has ended.

    If the client goes, a task that waits is not begun.
    """
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def put(event: dict[str, Any] | None) -> None:
        loop.call_soon_threadsafe(events.put_nowait, event)

    task.on_event = put
    task.result.add_done_callback(lambda _: put(None))
    _service(request).pool.submit(task)
    try:
        while True:
            event = None
            with anyio.move_on_after(1) as scope:
                event = await events.get()
            if scope.cancelled_caught:
                if await request.is_disconnected():
                    raise HTTPException(400, "the client has gone")
            elif event is None:
                return
            else:
                yield event
    finally:
        task.result.cancel()


async def _lines(request: Request, task: Task) -> AsyncIterator[str]:
    """Yield a line for each thing that a task emits, and the answer."""
    try:
        async for event in _events(request, task):
            yield json.dumps(event) + "\n"
        last = _kept(_service(request), task.result.result())
        yield json.dumps({"stage": "done", **last}) + "\n"
    except ByteCoverError as error:
        yield json.dumps({"stage": "failed", "error": str(error)}) + "\n"


class _Lines(StreamingResponse):
    """Lines as they come; what they are made from is released whatever happens."""

    def __init__(self, lines: AsyncIterator[str], held: ExitStack) -> None:
        super().__init__(lines, media_type=_LINES, headers={"X-Accel-Buffering": "no"})
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await super().__call__(scope, receive, send)
