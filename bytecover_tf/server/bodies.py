"""How much a request may send, whoever reads it."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What is read whole, into memory, also from those who have no token.
_BYTES = 2**20


class Bounded:
    """Stops reading what a request sends where that is too much.

    Args:
        app: what answers; a route that takes more says so by `take_up_to`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what it sends raises a 413 where it is too much."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["most_bytes"] = _BYTES
        declared = Headers(scope=scope).get("content-length", "")
        read = 0

        async def receive_bounded() -> Message:
            nonlocal read
            if declared.isdecimal():
                _check(int(declared[:20]), state["most_bytes"])
            message = await receive()
            read += len(message.get("body", b""))
            _check(read, state["most_bytes"])
            return message

        await self._app(scope, receive_bounded, send)


def take_up_to(request: Request, size: int) -> None:
    """Let a request send so many bytes."""
    request.state.most_bytes = size


def _check(size: int, most: int) -> None:
    if size > most:
        raise HTTPException(
            413, f"larger than the {most / 2**20:.0f} MiB that may be sent"
        )
