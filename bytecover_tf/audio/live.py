"""Decoding of what has no end: a stream, a microphone, a file that still grows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, Full, Queue
from typing import BinaryIO

import av
import numpy as np

from bytecover_tf.audio.decoding import (
    default_stream,
    lenient,
    mono_blocks,
    resample,
)
from bytecover_tf.errors import AudioError
from bytecover_tf.terminal import without_password

# A source that is silent for so long, in seconds, has gone.
_TIMEOUT = 15.0
# Seconds before the first attempt to connect again, and at most.
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
# Blocks of a second or two that wait to be taken: what is read while one is compared.
_WAITING = 60
# How long to wait for the thread that reads, at the end.
_PATIENCE = 2.0
# How often whoever waits looks whether it has been told to stop.
_LOOK = 0.25


def iter_live(
    source: str,
    sample_rate: int = 22050,
    kind: str | None = None,
    follow: bool = False,
    attempts: int | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Generator[np.ndarray, None, None]:
    """Decode a source as it comes, in bounded memory.

    A thread reads; it stops when the iterator is closed. A source that ends or breaks
    is opened again, after one second, two, four and so on up to half a minute. A file
    on a disk is not, as its end is one.

    Args:
        source: an address, a device or a file, as FFmpeg takes it.
        sample_rate: of the result, in hertz.
        kind: FFmpeg's name of the input format, such as `alsa` or `dshow` for a
            microphone; told by the content by default.
        follow: whether to wait at the end of a file for more, as it is written.
        attempts: after how many times in a row that a source ended or broke without
            a sound to stop; by default never.
        warn: is told why a source broke.

    Yields:
        float32 samples (n,), the mean over channels, a second or two at a time.

    Raises:
        AudioError: the source broke or cannot be read, and no attempt is left.
    """
    queue: Queue[np.ndarray | AudioError | None] = Queue(_WAITING)
    stop = threading.Event()

    def put(item: np.ndarray | AudioError | None) -> None:
        while not stop.is_set():
            try:
                queue.put(item, timeout=_LOOK)
                return
            except Full:
                continue

    def read() -> None:
        failed = 0
        while not stop.is_set():
            has_ended = False
            try:
                growing = stop if follow else None
                for block in _decoded(source, sample_rate, kind, growing):
                    failed = 0
                    put(block)
                    if stop.is_set():
                        return
                has_ended, reason = True, "has ended"
                if Path(source).is_file():
                    break
            except Exception as error:  # whatever a driver or a network comes up with
                reason = getattr(error, "strerror", None) or str(error)
            failed += 1
            message = f"{without_password(source)}: {reason}"
            if attempts is not None and failed >= attempts:
                put(None if has_ended else AudioError(message))
                return
            wait = min(_FIRST_WAIT * 2 ** (failed - 1), _LONGEST_WAIT)
            warn(f"{message}; again in {wait:g} s")
            stop.wait(wait)
        put(None)

    # A driver may hang; the process must be able to end all the same.
    reader = threading.Thread(target=read, name="live", daemon=True)
    reader.start()
    try:
        while True:
            try:
                item = queue.get(timeout=_LOOK)
            except Empty:  # so that Ctrl-C is heard
                continue
            if item is None:
                return
            if isinstance(item, AudioError):
                raise item
            yield item
    finally:
        stop.set()
        reader.join(_PATIENCE)


class _Growing:
    """A file that is still being written, for PyAV: whoever reads waits at its end.

    FFmpeg's own option for that gives up where nothing is written for a while, and does
    not hear that it should stop. Without `seek` it reads from the beginning on.
    """

    def __init__(self, file: BinaryIO, stop: threading.Event) -> None:
        self.name = file.name
        self._file, self._stop = file, stop

    def read(self, size: int) -> bytes:
        while not self._stop.is_set():
            if found := self._file.read(size):
                return found
            self._stop.wait(_LOOK)
        return b""


def _decoded(
    source: str, sample_rate: int, kind: str | None, growing: threading.Event | None
) -> Iterator[np.ndarray]:
    """Open a source once, and decode it to its end.

    At the end of a file that grows it waits for more until the event is set.
    """
    with ExitStack() as opened:
        address: str | _Growing = source
        if growing is not None:
            file = opened.enter_context(open(source, "rb", buffering=0))
            address = _Growing(file, growing)
        container = opened.enter_context(
            av.open(address, format=kind, timeout=_TIMEOUT, **lenient("ignore"))
        )
        if not container.streams.audio:
            raise AudioError("has no sound in it")
        stream = default_stream(container)

        def frames() -> Iterator[av.AudioFrame]:
            for packet in container.demux(stream):
                try:
                    yield from stream.decode(packet)
                except av.FFmpegError:  # a packet that was damaged on its way
                    continue

        for block in resample(mono_blocks(frames(), source), sample_rate):
            if block.size:
                # What no sound can be would spoil the windows that it lies in.
                yield np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
