"""Text that a terminal, a table or another program can take as it comes.

Names of files and tags are written by others: they may hold codes that clear a screen,
line ends, or what a spreadsheet takes for a formula.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TextIO

# Controls of C0 and C1, ends of lines and paragraphs, and what turns text round.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_FORMULA = ("=", "+", "-", "@")
# All up to the last @, as passwords hold what should be escaped; but where a plain host
# comes first, the @ is part of a path.
_PASSWORD = re.compile(r"(?<=://)(?![^\s/?#@:]+(?::\d*)?[/?#]).*@", re.S)


def printable(text: object) -> str:
    r"""Return a text with control characters written as in Python, `\x1b`."""
    return _UNSAFE.sub(lambda found: repr(found[0])[1:-1], str(text))


def clock(seconds: float) -> str:
    """Return a time as a player shows it: 1:23, or 1:02:03 from an hour.

    A second shows when it is full, but for rounding errors.
    """
    minutes, rest = divmod(int(seconds + 1e-6), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def without_password(address: str) -> str:
    """Return an address without the name and password that it may hold."""
    return _PASSWORD.sub("", address)


def show(text: object, file: TextIO | None = None) -> None:
    """Print one line, with control characters escaped.

    Args:
        text: the line.
        file: standard output by default.
    """
    print(printable(text), file=file or sys.stdout, flush=True)


def warn(text: object) -> None:
    """Print one line on standard error, with control characters escaped."""
    show(text, sys.stderr)


def show_json(value: object) -> None:
    """Print a value as one line of JSON, whatever the encoding of standard output."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    is_unicode = encoding.lower().replace("-", "").startswith("utf")
    line = json.dumps(value, ensure_ascii=not is_unicode)
    print(
        # JSON escapes C0 itself, and leaves the others.
        _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", line),
        flush=True,
    )


def counted(number: int, one: str, several: str) -> str:
    """Return a number with the words for it: `1 file has`, `2 files have`."""
    return f"{number} {one if number == 1 else several}"


def csv_cell(value: object) -> object:
    """Return a value for a CSV file that a spreadsheet will not calculate.

    Text that begins like a formula gets an apostrophe before it, and control characters
    are escaped, so that a row is a line; numbers stay.
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text[:1] in _FORMULA else text


def open_streams() -> None:
    """Open what stands in for standard streams that are closed.

    Who starts a command without them, as cron may, wants it to run all the same. The
    next file opened would else take their number, and be written into.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is the one that was missing.
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
