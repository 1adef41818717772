"""Bulk reading over the machines of a Ray cluster."""

from __future__ import annotations

import logging
import re
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from bytecover_tf.errors import ClusterError

Result = TypeVar("Result")

_ADDRESS = re.compile(r"(ray://)?(?P<host>[^/\s]+):(?P<port>\d+)|auto")
_CONNECT_TIMEOUT = 10  # seconds
# How often a file is tried again after its worker or machine died.
_RETRIES = 3


def map_on_cluster(
    address: str, read: Callable[[str], Result], paths: Sequence[str]
) -> Iterator[tuple[str, Result | str]]:
    """Apply a function to paths on a Ray cluster.

    Every machine needs this package, and the files at the same paths. If a worker or
    machine dies, its paths are done again elsewhere. A path that has killed several
    workers is given up.

    Args:
        address: `host:port` of the cluster that this machine belongs to, `auto` for
            the one that runs here, or `ray://host:port` of any.
        read: what to apply; raises nothing.
        paths: a call for each.

    Yields:
        Each path once with its result, or with the reason why there is none, in the
        order of completion.

    Raises:
        ClusterError: Ray is not installed, or the cluster cannot be reached.
    """
    with _connected(address) as ray:
        # A copy for each machine, not for each path.
        shared = ray.put(read)
        task = ray.remote(_apply).options(max_retries=_RETRIES, num_cpus=1)
        waiting = deque(paths)
        pending: dict[Any, str] = {}
        while waiting or pending:
            # A short queue, so that the results in memory stay few. Machines may
            # join and leave.
            count = max(int(ray.cluster_resources().get("CPU", 1)), 1)
            while waiting and len(pending) < 2 * count:
                path = waiting.popleft()
                pending[task.remote(shared, path)] = path
            done, _ = ray.wait(list(pending), num_returns=1)
            for reference in done:
                path = pending.pop(reference)
                yield path, _result(ray, reference, path)


def _apply(read: Callable[[str], Result], path: str) -> Result:
    return read(path)


def _result(ray: Any, reference: Any, path: str) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        # `read` raises nothing, so the worker could not even start.
        return f"{path}: cannot be read on the cluster ({error.cause})"
    except ray.exceptions.RayError as error:
        kind = type(error).__name__
        return f"{path}: cost the cluster {_RETRIES + 1} workers ({kind})"


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        import ray
    except ImportError:
        raise ClusterError(
            f"{address}: a cluster needs Ray; pip install 'bytecover_tf[ray]'"
        ) from None
    try:
        _check_listening(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except ClusterError:
        raise
    except Exception as error:  # of many kinds, by what is wrong
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ClusterError(
            f"{address}: no Ray cluster can be reached there ({lines[0]})"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_listening(address: str) -> None:
    """Fail at once in cases where Ray would retry for many minutes."""
    match = _ADDRESS.fullmatch(address)
    if not match:
        raise ClusterError(f"{address}: expected host:port, ray://host:port or auto")
    if match["host"]:
        server = match["host"], int(match["port"])
        socket.create_connection(server, timeout=_CONNECT_TIMEOUT).close()
