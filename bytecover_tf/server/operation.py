"""What Prometheus reads: requests, how long they took, and how the workers fare."""

from __future__ import annotations

import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bytecover_tf.server.library import Library
from bytecover_tf.server.pool import Pool

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class OperationFigures:
    """The figures of one server.

    Args:
        pool: whose workers are counted.
        library: whose recordings are counted.
    """

    def __init__(self, pool: Pool, library: Library) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter(
            "bytecover_requests", "Requests answered", labels, registry=self.registry
        )
        self.seconds = Histogram(
            "bytecover_request_seconds",
            "Time to answer a request",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.verdicts = Counter(
            "bytecover_verdicts",
            "Verdicts on queries",
            ("verdict",),
            registry=self.registry,
        )
        for name, meaning, value in (
            ("workers_ready", "Workers that can be given work", lambda: pool.ready),
            ("workers_busy", "Workers that are at work", lambda: pool.busy),
            ("waiting", "Requests that wait for a worker", lambda: pool.waiting),
            ("worker_restarts", "Workers replaced so far", lambda: pool.restarts),
            ("recordings", "Recordings in the catalogue", lambda: library.count),
        ):
            gauge = Gauge(f"bytecover_{name}", meaning, registry=self.registry)
            gauge.set_function(value)

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self.registry)


class CountedApp:
    """Counts the requests that pass.

    Args:
        app: what answers them.
        metrics: where they are counted.
    """

    def __init__(self, app: ASGIApp, metrics: OperationFigures) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            # Not the path, which has no end of values.
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if route != "other" else "any"
            self._metrics.requests.labels(method, route, status).inc()
            took = time.perf_counter() - started
            self._metrics.seconds.labels(method, route).observe(took)
