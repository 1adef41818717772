"""Who may ask: this machine alone, or whoever has the token; and no other web page.

A page from elsewhere that is open in the same browser could send requests to a server
on this machine. So the name that the browser asked for must be one of this machine
(else a foreign name could be made to point here), and a request that comes from another
page is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bytecover_tf.errors import ConfigError

VARIABLE = "BYTECOVER_TOKEN"
"""The environment variable that may hold the token."""

# What is open to all: the page, which holds no data, and what orchestration asks.
_GUARDED = ("/api", "/metrics")
_OPEN = ("/api/session", "/api/openapi.json")
_SAFE = ("GET", "HEAD", "OPTIONS")
_SHORTEST = 16
# Seconds that a wrong token costs.
_DELAY = 1.0

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' "
        "blob:; img-src 'self' data: blob:; media-src 'self' blob:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}


def with_nonce(nonce: str) -> str:
    """Return a policy that also lets style sheets with a nonce through."""
    policy = _HEADERS["Content-Security-Policy"]
    return policy.replace("style-src 'self'", f"style-src 'self' 'nonce-{nonce}'")


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(file: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """Return the token of a file or of the environment; empty if there is none.

    Args:
        file: holds the token on its first line.
        environment: may have it in `BYTECOVER_TOKEN`.

    Raises:
        ConfigError: it is too short to be safe, or no header could hold it.
        OSError: the file cannot be read.
    """
    lines = file.read_text(errors="replace").splitlines() if file else []
    token = (lines[0] if lines else "") if file else environment.get(VARIABLE, "")
    token = token.strip()
    if (file or token) and len(token) < _SHORTEST:
        raise ConfigError(
            f"{file or VARIABLE}: expected a token of {_SHORTEST} characters or more, "
            "such as `openssl rand -hex 32` prints"
        )
    if not (token.isascii() and token.isprintable()):
        raise ConfigError(
            f"{file or VARIABLE}: expected a token of printable ASCII, such as "
            "`openssl rand -hex 32` prints"
        )
    return token


class Guard:
    """Refuses who may not ask, and tells browsers to load nothing from elsewhere.

    Args:
        app: what answers the others.
        token: must be sent as `Authorization: Bearer TOKEN`, or by a cookie that the
            page gets for it; empty if none is needed.
        is_local: whether this machine alone can ask.
    """

    def __init__(self, app: ASGIApp, token: str, is_local: bool) -> None:
        self._app = app
        self._token = token
        self._is_local = is_local

    @property
    def needs_token(self) -> bool:
        """Whether a token is needed."""
        return bool(self._token)

    @property
    def cookie(self) -> str:
        """The value of the cookie, which does not give the token away."""
        return self._derived(b"cookie")

    @property
    def cookie_name(self) -> str:
        """Its name, another one for each token: servers of a host share its cookies."""
        return f"bytecover-{self._derived(b'name')[:8]}"

    def _derived(self, use: bytes) -> str:
        return hmac.new(self._token.encode(), use, hashlib.sha256).hexdigest()

    def knows(self, token: str) -> bool:
        """Tell whether this is the token."""
        return hmac.compare_digest(token.encode(), self._token.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["guard"] = self

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = await self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    async def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        path, host = scope["path"], headers.get("host", "")
        if self._is_local and not is_loopback(_place(f"//{host}").hostname or ""):
            return _refuse(403, f"this server is not called {host!r}")
        if not path.startswith(_GUARDED):
            return None
        if _is_foreign(headers, host, scope["method"]):
            return _refuse(403, "asked by a page of another site")
        if path in _OPEN or not self._token or self._is_known(headers):
            return None
        if "authorization" in headers:
            await asyncio.sleep(_DELAY)
        return _refuse(401, "needs the token", {"WWW-Authenticate": "Bearer"})

    def _is_known(self, headers: Headers) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.knows(token.strip()):
            return True
        # Other servers of this machine set cookies of any form too.
        given = cookie_parser(headers.get("cookie", "")).get(self.cookie_name, "")
        return hmac.compare_digest(given.encode(), self.cookie.encode())


def _is_foreign(headers: Headers, host: str, method: str) -> bool:
    """Tell whether a browser says that another site's page sends a request."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        # The browser has compared addresses itself; a proxy may have changed the host.
        return site not in ("none", "same-origin")
    origin = headers.get("origin")
    return method not in _SAFE and origin is not None and _place(origin).netloc != host


def _place(address: str) -> SplitResult:
    """Return the parts of an address; all are empty if it is none."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _refuse(
    status: int, reason: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers)
