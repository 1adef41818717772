"""What all routes need: a form is received, a task is done, an answer is sent."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anyio
from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from bytecover_tf.errors import ByteCoverError
from bytecover_tf.files import JsonObject
from bytecover_tf.server.jobs import Job
from bytecover_tf.server.pool import Task
from bytecover_tf.server.service import Service
from bytecover_tf.server.sources import Form, receive_form

if TYPE_CHECKING:
    from bytecover_tf.server.engine import Answered

LINES = "application/x-ndjson"
"""The kind of an answer that comes line by line."""


class Problem(BaseModel):
    """Why a request was not done."""

    error: str


PROBLEMS: dict[int | str, JsonObject] = {
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
    507: {"model": Problem, "description": "The server's disk is full."},
}
"""What requests that take recordings may be refused for."""

SOURCE = (
    "a file; or as text the id of a recording in the catalogue, or the path of a file "
    "in a folder given with --allow"
)
"""How a field of a form names a recording."""


def form_of(**fields: str) -> JsonObject:
    """Describe the fields of a form."""
    properties = {
        name: {"type": "string", "description": text} for name, text in fields.items()
    }
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"content": {"multipart/form-data": {"schema": schema}}}}


def service_of(request: Request) -> Service:
    """Return what the routes share."""
    return request.app.state.service


async def answer(request: Request, make_task: Callable[[Form], Task]) -> Response:
    """Receive a form, have its task done, and answer as the client wants it."""
    service = service_of(request)
    with ExitStack() as stack:
        # Before anything is received: who cannot be served need not send.
        stack.enter_context(service.gate)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bytecover-"))
        form = await receive_form(request, service.limits, folder)
        task = await run_in_threadpool(make_task, form)
        if LINES in request.headers.get("accept", ""):
            return _Lines(_lines(request, task), stack.pop_all())
        return JSONResponse(_kept(service, await result_of(request, task)))


def _kept(service: Service, found: Answered) -> JsonObject:
    """Return an answer, and keep what pictures of it are drawn from."""
    answer = found["answer"]
    service.metrics.verdicts.labels(answer["verdict"]).inc()
    return {**answer, "answer": service.answers.keep(found["chroma"])}


async def result_of(request: Request, task: Task) -> Any:
    """Have a task done; return its result."""
    async for _ in _events(request, task):
        pass
    return task.result.result()


async def _events(request: Request, task: Task) -> AsyncIterator[JsonObject]:
    """Have a task done; yield what it emits until it has ended.

    If the client goes, a task that waits is not begun.
    """
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[JsonObject | None] = asyncio.Queue()

    def put(event: JsonObject | None) -> None:
        loop.call_soon_threadsafe(events.put_nowait, event)

    task.on_event = put
    task.result.add_done_callback(lambda _: put(None))
    service_of(request).pool.submit(task)
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
        last = _kept(service_of(request), task.result.result())
        yield json.dumps({"stage": "done", **last}) + "\n"
    except ByteCoverError as error:
        yield json.dumps({"stage": "failed", "error": str(error)}) + "\n"


class _Lines(StreamingResponse):
    """Lines as they come; what they are made from is released whatever happens."""

    def __init__(self, lines: AsyncIterator[str], held: ExitStack) -> None:
        super().__init__(lines, media_type=LINES, headers={"X-Accel-Buffering": "no"})
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await super().__call__(scope, receive, send)


def begin(service: Service, job: Job, after: Callable[[], object]) -> JsonObject:
    """Begin a job; return what is said of it.

    Args:
        service: whose workers do it.
        job: what to begin.
        after: called when it has ended.
    """
    return service.jobs.begin(job, service.pool.submit, after).to_dict()
