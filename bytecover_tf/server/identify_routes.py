"""Routes that identify and compare recordings, and show where they match."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from bytecover_tf.files import JsonObject
from bytecover_tf.server.asking import (
    PROBLEMS,
    SOURCE,
    answer,
    begin,
    form_of,
    result_of,
    service_of,
)
from bytecover_tf.server.jobs import Job
from bytecover_tf.server.pool import Task
from bytecover_tf.server.sources import Form, receive_form

router = APIRouter(tags=["identification"])

_MOST_MATCHES = 100


@router.post(
    "/api/identify",
    responses=PROBLEMS,
    openapi_extra=form_of(file=SOURCE, top="matches to return, 10 by default"),
)
async def identify(request: Request) -> Response:
    """Tell which works of the catalogue a recording is a version of.

    With `Accept: application/x-ndjson` the answer comes as lines: what is being done,
    the best matches so far, and last the whole answer or an error.
    """
    service = service_of(request)

    def task(form: Form) -> Task:
        source = form.source("file", service.folders, service.library)
        arguments = {
            "path": source.path,
            "name": source.name,
            "top": form.number("top", 10, _MOST_MATCHES),
        }
        return Task("identify", arguments, service.limits.seconds)

    return await answer(request, task)


@router.post(
    "/api/compare",
    responses=PROBLEMS,
    openapi_extra=form_of(first=SOURCE, second=SOURCE),
)
async def compare(request: Request) -> Response:
    """Tell whether two recordings perform one work, and where they match."""
    service = service_of(request)

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

    return await answer(request, task)


@router.get("/api/answers/{name}/picture")
async def answer_picture(
    request: Request, name: str, recording: str | None = None
) -> Response:
    """Show where a query of a while ago and a recording match."""
    kept = service_of(request).answers.get(name)
    if kept is None:
        raise HTTPException(404, "that answer is no longer known; ask again")
    second = recording if len(kept) == 1 else kept[1]
    if second is None:
        raise HTTPException(422, "expected the id of a recording")
    if isinstance(second, str):
        await run_in_threadpool(service_of(request).library.find, second)
    return await _picture(request, first=kept[0], second=second)


@router.get("/api/picture")
async def picture(request: Request, first: str, second: str) -> Response:
    """Show where two recordings of the catalogue match."""
    for name in (first, second):
        await run_in_threadpool(service_of(request).library.find, name)
    return await _picture(request, first=first, second=second)


@router.post(
    "/api/setlist",
    status_code=202,
    responses=PROBLEMS,
    openapi_extra=form_of(file=SOURCE),
)
async def setlist(request: Request) -> JsonObject:
    """Tell which works a long recording plays, and when; begins a job.

    The result has `songs`, each with `start` and `end` in seconds, and those of them
    that are known with what `identify` says of a match.
    """
    service = service_of(request)
    with ExitStack() as stack, service.gate:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bytecover-"))
        form = await receive_form(request, service.limits, folder)
        source = await run_in_threadpool(
            form.source, "file", service.folders, service.library
        )
        arguments = {"path": source.path, "name": source.name}
        task = Task("setlist", arguments, service.limits.job_seconds, is_long=True)
        # From here on the file is the job's.
        held = stack.pop_all()
        try:
            return begin(service, Job("setlist", source.name, task), held.close)
        except BaseException:
            held.close()
            raise


async def _picture(request: Request, **arguments: Any) -> Response:
    service = service_of(request)
    with service.gate:
        task = Task("picture", arguments, service.limits.seconds)
        return JSONResponse(await result_of(request, task))
