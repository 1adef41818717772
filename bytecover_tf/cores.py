"""How many processor cores there are for this process, and work begun early on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bytecover_tf.errors import WorkerError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

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


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Lend processes that share some work.

    Args:
        count: number of processes.

    Raises:
        WorkerError: one of them was killed.
    """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    try:
        with ProcessPoolExecutor(count) as pool:
            yield pool
    except BrokenProcessPool:
        raise WorkerError(
            f"a process was killed; is there memory for {count} at once? Run the same "
            "command again to continue, with fewer where it has the option --workers"
        ) from None


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
