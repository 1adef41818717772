"""Compiling loops with numba, wherever the package is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function on its first use, and keep it in numba's cache.

    Where nothing can be written, as in a container without a home, it is compiled in
    each process, which takes some seconds.

    Args:
        function: what numba can compile.
        **options: of `numba.njit`.
    """
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # "no locator available": no folder for the cache
        return numba.njit(nogil=True, **options)(function)
