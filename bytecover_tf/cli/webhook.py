"""Posting JSON to an address that someone listens at."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from http.client import HTTPException
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from bytecover_tf.terminal import show_json, warn, without_password

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

    def post(self, value: object) -> str:
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
