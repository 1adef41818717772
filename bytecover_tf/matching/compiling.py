"""Compiling loops with numba, wherever the package is installed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Cache(FunctionCache):
    """Numba's cache of a function, which is of use but never needed."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled before, or None."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # damage shows in as many ways as pickle has
            with suppress(Exception):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if there is room on the disk."""
        with suppress(OSError):
            super().save_overload(sig, data)


def compiled(function: _Function, **options: Any) -> _Function:
    """Compile a function on its first use, and keep it in numba's cache.

    Where nothing can be written, as in a container without a home or on a full disk,
    it is compiled in each process, which takes some seconds.

    Args:
        function: what numba can compile.
        **options: of `numba.njit`.
    """
    dispatcher = numba.njit(nogil=True, **options)(function)
    with suppress(RuntimeError):  # "no locator available": no folder for the cache
        # As `cache=True` does with numba's own class.
        dispatcher._cache = _Cache(function)
    return dispatcher
