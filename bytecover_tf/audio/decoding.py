"""Decoding of recordings to mono waveforms.

PyAV (the libraries of FFmpeg) decodes every format and soxr resamples. All
formats take one path because libsndfile, the usual alternative, loses audio
without an error: it stops an mp3 without a Xing tag at a guessed length and a
chained Ogg file at the end of its first link.
"""

import io
import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import av
import numpy as np
import soxr
from av.stream import Disposition

from bytecover_tf.errors import AudioError

# A peak of -80 dBFS: above the dither of 16-bit silence, far below any music.
_SILENCE = 1e-4
# Samples per channel that are decoded before they are handed on: 1.5 s at 44.1 kHz.
# More would not stay in the processor's cache.
_BLOCK = 2**16
# Share of the loudest channel's energy below which the mean of the channels is no more
# the music: they cancel, as when a plug is wired the wrong way round.
_CANCELLED = 0.05
# Sample formats that are read as they are, with the value of silence and full scale.
_FORMATS = {
    "u8": (128, 2**7),
    "s16": (0, 2**15),
    "s32": (0, 2**31),
    "flt": (0, 1),
    "dbl": (0, 1),
}
# PyAV crashes on more.
_MOST_PLANES = 7
# Far above samples that were never scaled, as 32-bit integers; their squares still fit
# float32, in which the transform computes.
_LARGEST = 1e12
# A damaged header may declare 1 Hz, which would fill the memory when resampled.
_LOWEST_RATE = 1000
# Bytes that may be missing at the end of a file whose writer miscounted.
_HAIR = 256
# A RIFF or FORM size from here on, or 0, is what a program writes to a pipe.
_STREAMED = 0x7F000000
# The byte count in the first frame of an mp3, after its flags and frame count.
_XING = re.compile(rb"(?:Xing|Info)\0\0\0[\x03\x07\x0b\x0f].{4}(.{4})", re.DOTALL)
# Demuxers that read the duration from a header, where others may estimate it.
_TIMED = {
    "asf",
    "au",
    "caf",
    "flac",
    "matroska,webm",
    "mov,mp4,m4a,3gp,3g2,mj2",
    "tta",
    "wv",
}

# Older PyAV reports FFmpeg's messages to this logger; they are in our errors.
logging.getLogger("libav").addHandler(logging.NullHandler())


def load_audio(path: str | os.PathLike[str], sample_rate: int = 22050) -> np.ndarray:
    """Decode a whole recording.

    Args:
        path: an audio or video file. The format is told by the content.
        sample_rate: of the result, in hertz.

    Returns:
        The mean over all channels, float32 of shape (samples,), full scale 1. Where
        the channels cancel one another, the loudest of them. Of several audio
        streams, the one that is marked as the default, else the first.

    Raises:
        AudioError: if the file cannot be read, is truncated or damaged, has
            no audio in it, or is silent. The message names the file.
    """
    return np.concatenate(list(iter_audio(path, sample_rate)))


def iter_audio(
    path: str | os.PathLike[str], sample_rate: int = 22050
) -> Iterator[np.ndarray]:
    """Decode a recording of any length in bounded memory.

    Args:
        path: an audio or video file. The format is told by the content.
        sample_rate: of the result, in hertz.

    Yields:
        The samples of `load_audio` in consecutive blocks of unequal length,
        a few seconds at most.

    Raises:
        AudioError: as `load_audio` does. What only the whole file shows
            (truncation, silence) is raised after the last block.
    """
    name = os.fspath(path)
    peaks: list[float] = []
    try:
        with _open(name) as file:
            _check_complete(file, name)
            blocks = _mono_blocks(_frames(file, name), name)
            for block in _resample(blocks, sample_rate):
                if block.size:
                    peaks.append(_finite_peak(block, name))
                    yield block
    except (av.FFmpegError, OSError) as error:
        raise AudioError(
            f"{name}: cannot be decoded ({error.strerror}), "
            "expected an undamaged audio or video file"
        ) from error
    _check_loud(peaks, name)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the tags of a recording and of its audio stream.

    Args:
        path: an audio or video file.

    Returns:
        Text by name in lower case, such as `title`.

    Raises:
        AudioError: the file cannot be read.
        av.FFmpegError: it is no audio or video.
    """
    with _open(os.fspath(path)) as file, _container(file) as container:
        streams = [_default_stream(container)] if container.streams.audio else []
        return {
            name.lower(): value
            for part in (*streams, container)
            for name, value in part.metadata.items()
        }


def check_waveform(samples: np.ndarray, name: str) -> None:
    """Check a waveform that did not come from `load_audio`.

    Args:
        samples: array that should be floating point of shape (samples,).
        name: what to call it in messages.

    Raises:
        AudioError: if the array has another shape or type, is empty, is not
            finite, has a sample that is far too large, or is silent.
    """
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(
            f"{name}: expected mono samples as a 1-D floating-point array, "
            f"got {samples.dtype} of shape {samples.shape}"
        )
    _check_loud([_finite_peak(samples, name)] if samples.size else [], name)


def _finite_peak(samples: np.ndarray, name: str) -> float:
    peak = float(np.abs(samples).max())
    if not np.isfinite(peak):
        raise AudioError(f"{name}: has samples that are not finite (NaN or infinity)")
    if peak > _LARGEST:
        raise AudioError(
            f"{name}: has a sample of {peak:.3g}, expected at most {_LARGEST:.0e} "
            "(full scale is 1)"
        )
    return peak


def _check_loud(peaks: list[float], name: str) -> None:
    if not peaks:
        raise AudioError(f"{name}: has an audio stream without any samples")
    if max(peaks) < _SILENCE:
        raise AudioError(
            f"{name}: is silent (its peak is under -80 dBFS), "
            "so an embedding of it would be meaningless"
        )


class _File(io.FileIO):
    """A file that refuses an impossible seek in the way FFmpeg expects.

    PyAV prints the exception that a damaged header would cause.
    """

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except OSError:
            return -1


def _open(name: str) -> _File:
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise AudioError(f"{name}: is not a file, expected an audio file")
        # Opened without its name: FFmpeg would take the extension for a hint,
        # decode a text called `a.sln` and follow the links of an m3u8.
        return _File(os.open(name, os.O_RDONLY))
    except OSError as error:
        raise AudioError(f"{name}: cannot be read: {error.strerror}") from error


def _container(file: _File) -> Any:
    # No file may make FFmpeg open another file or an address.
    options = {"protocol_whitelist": "none"}
    return av.open(file, "r", options=options, metadata_errors="replace")


def _frames(file: _File, name: str) -> Iterator[av.AudioFrame]:
    """Decode the default audio stream and check that its end was reached."""
    packets = failed = 0
    end = 0.0
    with _container(file) as container:
        if not container.streams.audio:
            raise AudioError(
                f"{name}: has no audio stream (read as {container.format.long_name})"
            )
        stream = _default_stream(container)
        for packet in container.demux():
            if packet.stream_index == stream.index:
                packets += 1
                try:
                    frames = stream.decode(packet)
                except av.FFmpegError:
                    # Tags and stray damaged packets are skipped, as players do.
                    failed += 1
                    continue
                yield from frames
                if not packet.size and packet.dts is None:
                    # The last one; PyAV fails on streams that appeared late.
                    break
            # Of all streams: the sound of a video may end before its pictures.
            if packet.pts is not None and packet.time_base is not None:
                packet_end = (packet.pts + (packet.duration or 0)) * packet.time_base
                end = max(end, float(packet_end))
        timed = container.format.name in _TIMED
        declared = (container.duration or 0) / av.time_base if timed else 0.0

    if failed > packets / 20:
        raise AudioError(
            f"{name}: is damaged: {failed} of {packets} packets cannot be decoded"
        )
    if declared - end > 0.25:
        raise AudioError(
            f"{name}: is truncated: it declares {declared:.1f} s, "
            f"of which {end:.1f} s are there"
        )


def _default_stream(container: Any) -> Any:
    streams = container.streams.audio
    for stream in streams:
        if stream.disposition & Disposition.default:
            return stream
    return streams[0]


def _mono_blocks(
    frames: Iterable[av.AudioFrame], name: str
) -> Iterator[tuple[int, np.ndarray]]:
    """Downmix frames into (sample rate, float32 block), anew where the kind changes."""

    def kind(frame: av.AudioFrame) -> tuple[int, str, str]:
        return frame.sample_rate, frame.layout.name, frame.format.name

    for (rate, *_), group in groupby(frames, kind):
        if rate < _LOWEST_RATE:
            raise AudioError(
                f"{name}: declares a sample rate of {rate} Hz, "
                f"expected at least {_LOWEST_RATE} Hz"
            )
        # Frames are far shorter than blocks: some 26 ms of an mp3.
        fifo = av.AudioFifo()
        for frame in _readable(group):
            frame.pts = None  # the fifo refuses frames with a gap between them
            fifo.write(frame)
            while block := fifo.read(_BLOCK):
                yield rate, _mono(block)
        if rest := fifo.read():
            yield rate, _mono(rest)


def _readable(frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """Convert frames of one kind where `_mono` could not read them."""
    first = next(frames)
    planes = first.layout.nb_channels if first.format.is_planar else 1
    frames = chain([first], frames)
    if first.format.packed.name in _FORMATS and planes <= _MOST_PLANES:
        yield from frames
        return
    converter = av.AudioResampler(format="flt")
    for frame in chain(frames, [None]):
        yield from converter.resample(frame)


def _mono(frame: av.AudioFrame) -> np.ndarray:
    """Return the mean over a frame's channels, float32 (samples,).

    If that cancels the music, return the loudest channel.
    """
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(frame.samples, -1).T
    silence, full_scale = _FORMATS[frame.format.packed.name]
    with np.errstate(all="ignore"):  # what is not finite is refused later
        mono = samples[0].astype(np.float32)
        for channel in samples[1:]:  # many times as fast as NumPy's mean
            mono += channel
        mono /= len(samples)
        mono = (mono - silence) / full_scale
        if len(samples) == 1:
            return mono
        channels = [
            (channel.astype(np.float32) - silence) / full_scale for channel in samples
        ]
        energies = [_energy(channel) for channel in channels]
        if _energy(mono) >= _CANCELLED * max(energies):
            return mono
        # The same one from block to block, where several are about as loud.
        loud = next(i for i, each in enumerate(energies) if each > max(energies) / 4)
        return channels[loud]


def _energy(samples: np.ndarray) -> float:
    return float(samples @ samples)


def _resample(
    blocks: Iterable[tuple[int, np.ndarray]], sample_rate: int
) -> Iterator[np.ndarray]:
    for rate, group in groupby(blocks, itemgetter(0)):
        stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
        for _, block in group:
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def _check_complete(file: _File, name: str) -> None:
    """Compare a file's size with what its container declares."""
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise AudioError(f"{name}: is empty (0 bytes)")
    is_cut = _cut_check(file.read(12))
    file.seek(0)
    if is_cut and is_cut(file, size):
        raise AudioError(
            f"{name}: is truncated: its container declares more than "
            f"the {size} bytes that are there"
        )
    file.seek(0)


def _cut_check(head: bytes) -> Callable[[_File, int], bool] | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        return _riff_is_cut
    if head[:4] == b"OggS":
        return _ogg_is_cut
    if head[4:8] == b"ftyp":
        return _mp4_is_cut
    if head[:3] == b"ID3" or head[:1] == b"\xff":
        return _mp3_is_cut
    return None


def _riff_is_cut(file: _File, size: int) -> bool:
    head = file.read(28)
    if head[:4] == b"RF64":
        declared = int.from_bytes(head[20:28], "little")
        return 8 + declared > size + _HAIR
    declared = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
    return declared < _STREAMED and 8 + declared > size + _HAIR


def _ogg_is_cut(file: _File, size: int) -> bool:
    longest_page = 65_307
    file.seek(max(0, size - longest_page))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27:
        return True
    payload = 27 + page[26]
    return len(page) < payload + sum(page[27:payload])


def _mp4_is_cut(file: _File, size: int) -> bool:
    position = 0
    while position < size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # the box reaches to the end of the file
            return False
        position += length
        if position > size:
            return head[4:8] in (b"mdat", b"moov", b"moof")
    return False


def _mp3_is_cut(file: _File, size: int) -> bool:
    start = 0
    head = file.read(10)
    if head[:3] == b"ID3":
        a, b, c, d = head[6:10]  # seven bits each
        start = 10 + (a << 21 | b << 14 | c << 7 | d)
    file.seek(start)
    tag = _XING.search(file.read(4096))
    return tag is not None and start + int.from_bytes(tag[1], "big") > size + _HAIR
