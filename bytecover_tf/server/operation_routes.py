"""Routes that operate a server, and let a browser in."""

from __future__ import annotations

import asyncio
import os

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from bytecover_tf import __version__
from bytecover_tf.files import JsonObject
from bytecover_tf.server.access import Guard
from bytecover_tf.server.asking import Problem, service_of

router = APIRouter(tags=["operation"])


@router.get("/health")
async def health() -> dict[str, str]:
    """Tell that the server runs."""
    return {"status": "ok"}


@router.get("/ready", responses={503: {"model": Problem}})
async def ready(request: Request) -> dict[str, int]:
    """Tell whether a request would be taken."""
    pool = service_of(request).pool
    if not pool.ready:
        raise HTTPException(503, "no worker is ready")
    return {"workers": pool.ready}


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Return figures for Prometheus."""
    return PlainTextResponse(
        service_of(request).metrics.text(), media_type="text/plain; version=0.0.4"
    )


@router.get("/api/about")
def about(request: Request) -> JsonObject:
    """Say what is served, and what a request may take."""
    service = service_of(request)
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


@router.post("/api/session", responses={401: {"model": Problem}})
async def begin_session(request: Request, given: Token) -> Response:
    """Give a browser a cookie for the token."""
    guard: Guard = request.state.guard
    if guard.needs_token and not guard.knows(given.token):
        await asyncio.sleep(1)
        raise HTTPException(401, "that is not the token")
    response = Response(status_code=204)
    response.set_cookie(
        guard.cookie_name,
        guard.cookie,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response
