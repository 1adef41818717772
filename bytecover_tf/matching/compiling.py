"""Compiling loops with numba, wherever the package is installed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Cache(FunctionCache):
    """Numba's cache of a function; everything works without it."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the function compiled earlier, or None."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # damage shows in as many ways as pickle has
            with suppress(Exception):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store the compiled function, if there is room on the disk."""
        with suppress(OSError):
            super().save_overload(sig, data)


def compiled(function: _Function, **options: Any) -> _Function:
    """Compile a function on its first use, and keep it in numba's cache.

    Where nothing can be written (a container without a home, a full disk), each process
    compiles it anew, which takes some seconds.

    Args:
        function: a function that numba can compile.
        **options: of `numba.njit`.
    """
    dispatcher = numba.njit(nogil=True, **options)(function)
    with suppress(RuntimeError):  # "no locator available": no folder for the cache
        # As `cache=True` does with numba's own class.
        dispatcher._cache = _Cache(function)
    return dispatcher
