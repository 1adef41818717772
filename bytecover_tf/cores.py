"""How many processor cores there are for this process, and work begun early on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TypeVar

NVIDIA = Path("/dev/nvidiactl")
"""Shows that a machine with Linux has an NVIDIA GPU, as the driver makes it."""

T = TypeVar("T")
R = TypeVar("R")


def usable_cores() -> int:
    """Return how many processor cores this process may use.

    The affinity of the process counts, and the limit of a container.
    """
    import joblib  # late: it takes longer to import than a command's help

    return joblib.cpu_count()


def begun_early(
    pool: Executor, function: Callable[[T], R], items: Iterable[T], ahead: int
) -> Iterator[R]:
    """Yield the result for each item, in order.

    Args:
        pool: what runs the function.
        function: called with each item.
        items: taken when their calls begin.
        ahead: how many further calls have begun when a result is waited for.
    """
    begun: deque[Future[R]] = deque()
    for item in items:
        begun.append(pool.submit(function, item))
        if len(begun) > ahead:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
