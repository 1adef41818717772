"""Posting JSON to an address that someone listens at."""

from __future__ import annotations

import argparse
import json
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from bytecover_tf.terminal import without_password

_TIMEOUT = 10.0


class Webhook:
    """An address that takes JSON.

    Args:
        address: `http://` or `https://`.

    Raises:
        argparse.ArgumentTypeError: it is none of these.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise argparse.ArgumentTypeError(
                f"expected an http or https address, found {address!r}"
            )
        self._address = address

    def post(self, value: Any) -> str:
        """Send a value; return why that failed, or nothing if it did not."""
        request = Request(
            self._address,
            json.dumps(value).encode(),
            {"Content-Type": "application/json"},
            method="POST",
        )
        try:
            with urlopen(request, timeout=_TIMEOUT):
                return ""
        except (URLError, HTTPException, OSError) as error:
            return f"{without_password(self._address)}: {error}"
