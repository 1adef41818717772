"""Posting JSON to an address that someone listens at."""

from __future__ import annotations

import argparse
import json
from base64 import b64encode
from collections.abc import Iterable
from http.client import HTTPException
from urllib.error import URLError
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from bytecover_tf.terminal import show_json, warn, without_password

_TIMEOUT = 10.0
# What may stand in a path or a query as it is; all else is written as %xx.
_SAFE = "/%:@!$&'()*+,;=?~"


class Webhook:
    """An address that takes JSON.

    Args:
        address: `http://` or `https://`; a name and a password before the host are sent
            as basic authentication.

    Raises:
        argparse.ArgumentTypeError: it is none of these.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        if parts.scheme not in ("http", "https") or not host or not _has_port(parts):
            raise argparse.ArgumentTypeError(
                f"expected an http or https address, found "
                f"{without_password(address)!r}"
            )
        path, query = (quote(text, _SAFE) for text in (parts.path, parts.query))
        self._address = urlunsplit((parts.scheme, host, path, query, ""))
        self._headers = {"Content-Type": "application/json"}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            coded = b64encode(login.encode()).decode()
            self._headers["Authorization"] = f"Basic {coded}"

    def post(self, value: object) -> str:
        """Send a value; return why that failed, or nothing if it did not."""
        request = Request(
            self._address,
            json.dumps(value).encode(),
            self._headers,
            method="POST",
        )
        try:
            with urlopen(request, timeout=_TIMEOUT):
                return ""
        except (URLError, HTTPException, OSError) as error:
            return f"{self._address}: {error}"


def _has_port(parts: SplitResult) -> bool:
    """Whether the port is a number, if there is one."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def tell(values: Iterable[object], webhook: Webhook | None) -> int:
    """Print each value as a line of JSON, or post it, until Ctrl-C.

    Args:
        values: as they come.
        webhook: takes them; None prints them.

    Returns:
        How many could not be posted; why is told on standard error.
    """
    failed = 0
    try:
        for value in values:
            if webhook is None:
                show_json(value)
            elif reason := webhook.post(value):
                warn(f"failed: {reason}")
                failed += 1
    except KeyboardInterrupt:
        pass
    return failed
