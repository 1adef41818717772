"""Runs `identify` as its command does, and notes when each stage began and ended.

    python -m benchmarks.common.staged NOTES ARGUMENTS-OF-IDENTIFY...

The functions of the stages are wrapped from outside, so that the package needs no
option for it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from runpy import run_module
from typing import Any

Span = tuple[str, float, float]
"""A stage, its begin and its end by `time.perf_counter`."""

# What `segments` returns, in order.
STAGES = (
    *("start", "open", "decode and hear", "embed", "search", "read chroma", "align"),
    *("print", "end"),
)


def noted(name: str, function: Callable[..., Any], spans: list[Span]) -> Any:
    """Return a function that notes a span whenever it is called."""

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spans.append((name, begin, time.perf_counter()))

    return call


def segments(spans: list[Span], start: float, end: float) -> dict[str, float]:
    """Divide the life of a process that asked one query among its stages.

    Args:
        spans: what `main` noted.
        start: when the process started.
        end: when it ended.

    Returns:
        Seconds by stage, which add up to the whole. Opening takes until the file is
        read, and counts the recordings of the catalogue; printing takes until the
        command returns, with what little is between the others; the end is that of the
        process.
    """
    at = {name: (begin, stop) for name, begin, stop in spans}
    found = {
        "start": at["open"][0] - start,
        "open": at["decode and hear"][0] - at["open"][0],
    }
    for name in STAGES[2:-2]:
        found[name] = at[name][1] - at[name][0]
    found["print"] = at["end"][0] - start - sum(found.values())
    found["end"] = end - at["end"][0]
    return found


def main() -> None:
    _, notes, *arguments = sys.argv
    spans: list[Span] = []
    # What `identify` would import.
    opened = time.perf_counter()
    from bytecover_tf.matching import identification
    from bytecover_tf.matching.identification import Comparison, Query

    catalogue: type
    if any(argument.startswith("milvus://") for argument in arguments):
        from bytecover_tf.catalogues.milvus import MilvusCatalogue as catalogue
    else:
        from bytecover_tf.catalogues.lance import LanceCatalogue as catalogue
    spans.append(("open", opened, opened))
    for owner, name, stage in (
        (identification, "embed", "embed"),
        (identification, "nearest", "search"),
        (catalogue, "chroma", "read chroma"),
    ):
        setattr(owner, name, noted(stage, getattr(owner, name), spans))
    for kind, name, stage in (
        (Query, "read", "decode and hear"),
        (Comparison, "of", "align"),
    ):
        wrapped = noted(stage, getattr(kind, name), spans)
        setattr(kind, name, staticmethod(wrapped))
    sys.argv = ["identify", *arguments]
    try:
        run_module("bytecover_tf.identify", run_name="__main__")
    finally:
        ended = time.perf_counter()
        spans.append(("end", ended, ended))
        Path(notes).write_text(json.dumps(spans))


if __name__ == "__main__":
    main()
