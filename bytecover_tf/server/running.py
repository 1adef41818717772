"""A server from its first to its last moment."""

from __future__ import annotations

import signal
import socket

import uvicorn

from bytecover_tf.server.app import make_app
from bytecover_tf.server.service import Service
from bytecover_tf.terminal import show

# Seconds that requests at work may go on once the server is told to stop.
_GRACE = 30


def listen(host: str, port: int) -> socket.socket:
    """Return a socket at an address, before anything slow is begun.

    Args:
        host: an address or a name.
        port: its number; 0 for a free one.

    Raises:
        OSError: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        # Who asks before the server is ready waits, and is not refused.
        found.listen()
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from None
    return found


def serve(service: Service, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; requests at work may end then, jobs may not.

    Args:
        service: its workers are started here, and ended.
        host: as of `listen`.
        port: as of `listen`.

    Raises:
        ByteCoverError: no worker can be started.
        OSError: the address cannot be had.
    """
    config = uvicorn.Config(
        make_app(service),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:
        server.should_exit = True

    # While it runs, uvicorn has its own, and raises the signal again once it has
    # stopped; by then all is done.
    before = {
        number: signal.signal(number, stop)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        place = listen(host, port)
        service.pool.start()
        show(f"serving {service.library.count} recordings at {_address(place)}")
        server.run(sockets=[place])
    finally:
        service.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _address(place: socket.socket) -> str:
    host, port = place.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
