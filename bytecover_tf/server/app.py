"""The application: routes, what guards them, and how errors are told."""

from __future__ import annotations

import errno
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from bytecover_tf import __version__
from bytecover_tf.errors import (
    AudioError,
    ByteCoverError,
    CatalogueError,
    ConfigError,
    DataError,
)
from bytecover_tf.server import (
    identify_routes,
    job_routes,
    library_routes,
    operation_routes,
    review_routes,
)
from bytecover_tf.server.access import Guard, with_nonce
from bytecover_tf.server.bodies import Bounded
from bytecover_tf.server.jobs import Busy
from bytecover_tf.server.operation import CountedApp
from bytecover_tf.server.pool import TooLarge, TooSlow, WorkerLost
from bytecover_tf.server.service import Service
from bytecover_tf.terminal import warn

STATIC = Path(__file__).parent / "static"
"""The page."""

_STATUS: dict[type[ByteCoverError], int] = {
    AudioError: 422,
    DataError: 422,
    ConfigError: 422,
    TooLarge: 413,
    TooSlow: 503,
    WorkerLost: 503,
    CatalogueError: 503,
}


def make_app(service: Service) -> ASGIApp:
    """Return the application of a service whose workers have been started.

    Args:
        service: closed when the application ends.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(service.close)

    app = FastAPI(
        title="bytecover",
        version=__version__,
        description=__doc__,
        openapi_url="/api/openapi.json",
        # They load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.description = "Tells which works of a catalogue a recording is a version of."
    app.state.service = service
    for routes in (
        identify_routes,
        library_routes,
        review_routes,
        job_routes,
        operation_routes,
    ):
        app.include_router(routes.router)
    app.add_api_route("/", _page, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(HTTPException, _told)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(ByteCoverError, _refused)
    app.add_exception_handler(Busy, _busy)
    app.add_exception_handler(OSError, _failed)
    guard = Guard(Bounded(app), service.token, service.is_local)
    return CountedApp(guard, service.metrics)


def status_of(error: ByteCoverError) -> int:
    """Return the status that tells of an error."""
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return status
    return 500


async def _page(request: Request) -> Response:
    # Waveforms bring a style sheet of their own, which needs the nonce.
    nonce = secrets.token_urlsafe(16)
    text = (STATIC / "index.html").read_text().replace("{{nonce}}", nonce)
    headers = {
        "Content-Security-Policy": with_nonce(nonce),
        "Cache-Control": "no-store",
    }
    return HTMLResponse(text, headers=headers)


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _misunderstood(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    reasons = (
        f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()
    )
    return JSONResponse({"error": "; ".join(reasons)}, 422)


async def _failed(request: Request, error: Exception) -> Response:
    # Of the disk for uploads or of decisions, as a rule; where it lies is not told.
    assert isinstance(error, OSError)
    warn(f"failed: {request.url.path}: {error}")
    status = 507 if error.errno in (errno.ENOSPC, errno.EDQUOT) else 500
    return JSONResponse({"error": error.strerror or "the disk has failed"}, status)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ByteCoverError)
    status = status_of(error)
    headers = {"Retry-After": "2"} if status == 503 else None
    return JSONResponse({"error": str(error)}, status, headers)


async def _busy(request: Request, error: Exception) -> Response:
    reason = "as many requests wait already as may; try again soon"
    return JSONResponse({"error": reason}, 429, {"Retry-After": "2"})
