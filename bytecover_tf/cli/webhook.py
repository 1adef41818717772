"""Posting JSON to an address that someone listens at."""

from __future__ import annotations

import argparse
import json
from base64 import b64encode
from collections.abc import Iterable
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from bytecover_tf.terminal import show_json, warn

_TIMEOUT = 10.0
# What may stand in a path or a query as it is; all else is written as %xx.
_SAFE = "/%:@!$&'()*+,;=?~"


class _NoRedirection(HTTPRedirectHandler):
    """Refuses to be led elsewhere, where urllib would ask without what was posted."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = build_opener(_NoRedirection)


class Webhook:
    """An address that takes JSON.

    Args:
        address: `http://` or `https://`; a name and a password before the host are sent
            as basic authentication.

    Raises:
        argparse.ArgumentTypeError: it is none of these.
    """

    def __init__(self, address: str) -> None:
        try:
            parts = urlsplit(address)
            host = parts.netloc.rpartition("@")[2]
            is_good = parts.scheme in ("http", "https") and host and parts.port != 0
        except ValueError:  # of a port that is no number, say
            is_good = False
        if not is_good:
            # What precedes the host may be a password.
            shown = address.rpartition("@")[2]
            raise argparse.ArgumentTypeError(
                f"expected an http or https address, found {shown!r}"
            )
        path, query = (quote(text, _SAFE) for text in (parts.path, parts.query))
        self._address = urlunsplit((parts.scheme, host, path, query, ""))
        self._login = ""
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._login = f"Basic {b64encode(login.encode()).decode()}"

    def post(self, value: object) -> str:
        """Send a value; return why that failed, or nothing if it did not."""
        request = Request(
            self._address,
            json.dumps(value).encode(),
            {"Content-Type": "application/json"},
            method="POST",
        )
        if self._login:
            request.add_header("Authorization", self._login)
        try:
            with _OPENER.open(request, timeout=_TIMEOUT):
                return ""
        except HTTPError as error:
            elsewhere = error.headers.get("Location")
            leads = f", it leads to {elsewhere}" if elsewhere else ""
            return f"{self._address}: {error}{leads}"
        # A host that no name can be is a ValueError.
        except (URLError, HTTPException, OSError, ValueError) as error:
            return f"{self._address}: {error}"


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
