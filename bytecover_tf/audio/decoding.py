"""Decoding of recordings to mono waveforms.

PyAV (the libraries of FFmpeg) decodes every format and soxr resamples. All
formats take one path because libsndfile, the usual alternative, loses audio
without an error: it stops an mp3 without a Xing tag at a guessed length and a
chained Ogg file at the end of its first link.
"""

import io
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import av
import numpy as np
import soxr
from av.container import InputContainer
from av.stream import Disposition

from bytecover_tf.audio.completeness import ends_whole, has_all_bytes, is_cut, is_mp3
from bytecover_tf.errors import AudioError
from bytecover_tf.terminal import warn

# A peak of -80 dBFS: above the dither of 16-bit silence, far below any music.
_SILENCE = 1e-4
# Decoded blocks have this many samples per channel: 1.5 s at 44.1 kHz. Larger blocks
# would not stay in the processor's cache.
_BLOCK = 2**16
# If the sum of the channels has less than this share of all their energy, they cancel
# each other, as with a plug wired the wrong way round, and the mean no longer contains
# the music. The sum of channels that differ has about as much energy as all of them.
_CANCELLED = 0.1
# Sample formats that we read without conversion: the value of silence, full scale, and
# NumPy's type.
_FORMATS = {
    "u8": (128, 2**7, np.uint8),
    "s16": (0, 2**15, np.int16),
    "s32": (0, 2**31, np.int32),
    "flt": (0, 1, np.float32),
    "dbl": (0, 1, np.float64),
}
# PyAV crashes on more.
_MOST_PLANES = 7
# Far above the samples of a file that was never scaled, such as 32-bit integers. The
# squares still fit float32, which the transform computes in.
_LARGEST = 1e12
# A damaged header may declare 1 Hz, which would fill the memory when resampled.
_LOWEST_RATE = 1000
# Demuxers that read the duration from a header, where others may estimate it.
_TIMED = {
    "asf",
    "au",
    "caf",
    "flac",
    "matroska,webm",
    "mov,mp4,m4a,3gp,3g2,mj2",
    "rm",
    "tta",
    "wv",
}

# Older PyAV sends FFmpeg's messages to this logger; our errors contain them already.
logging.getLogger("libav").addHandler(logging.NullHandler())


def load_audio(
    path: str | os.PathLike[str],
    sample_rate: int = 22050,
    allow_truncated: bool = False,
) -> np.ndarray:
    """Decode a whole recording.

    Args:
        path: an audio or video file. The format is told by the content.
        sample_rate: of the result, in hertz.
        allow_truncated: whether to use the part of a truncated file that is there, with
            a warning on standard error.

    Returns:
        The mean over all channels, float32 of shape (samples,), full scale 1. Where the
        channels cancel one another, the loudest channel replaces the mean. If the file
        has several audio streams, the one marked as default is decoded, or else the
        first.

    Raises:
        AudioError: if the file cannot be read, is truncated or damaged, has
            no audio in it, or is silent. The message names the file.
    """
    return np.concatenate(list(iter_audio(path, sample_rate, allow_truncated)))


def iter_audio(
    path: str | os.PathLike[str],
    sample_rate: int = 22050,
    allow_truncated: bool = False,
) -> Iterator[np.ndarray]:
    """Decode a recording of any length in bounded memory.

    Args:
        path: an audio or video file. The format is told by the content.
        sample_rate: of the result, in hertz.
        allow_truncated: as of `load_audio`.

    Yields:
        The samples of `load_audio` in consecutive blocks of unequal length,
        a few seconds at most.

    Raises:
        AudioError: as `load_audio` does. Truncation and silence show only at the end of
            the file, so they are raised after the last block.
    """
    name = os.fspath(path)
    peaks: list[float] = []
    try:
        with _open(name) as file:
            blocks = mono_blocks(_frames(file, name, allow_truncated), name)
            for block in resample(blocks, sample_rate):
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
        av.FFmpegError: it is not audio or video.
    """
    with _open(os.fspath(path)) as file, _container(file) as container:
        tags = [container.metadata]
        if container.streams.audio:
            tags.insert(0, default_stream(container).metadata)
        return {name.lower(): value for part in tags for name, value in part.items()}


def iter_packets(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the packets of a recording's audio stream, which are its encoded sound.

    Args:
        path: an audio or video file.

    Raises:
        AudioError: the file cannot be read, or has no audio in it.
    """
    name = os.fspath(path)
    try:
        with _open(name) as file, _container(file) as container:
            if not container.streams.audio:
                raise AudioError(f"{name}: has no audio stream")
            yield from map(bytes, container.demux(default_stream(container)))
    except (av.FFmpegError, OSError) as error:
        raise AudioError(f"{name}: cannot be read ({error.strerror})") from error


def declared_duration(path: str | os.PathLike[str]) -> float:
    """Return how many seconds a file says that it lasts; 0 if it does not say.

    Args:
        path: an audio or video file, or anything else.
    """
    try:
        with _open(os.fspath(path)) as file, _container(file) as container:
            return (container.duration or 0) / av.time_base
    except (AudioError, av.FFmpegError, OSError):
        return 0.0


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
        # Open the file without its name. FFmpeg would take the extension as a hint,
        # decode a text called `a.sln` and follow the links of an m3u8.
        return _File(os.open(name, os.O_RDONLY))
    except OSError as error:
        raise AudioError(f"{name}: cannot be read: {error.strerror}") from error


def _container(file: _File) -> InputContainer:
    # Do not let any file make FFmpeg open another file or an address.
    options = {"protocol_whitelist": "none"}
    return av.open(file, "r", options=options, **lenient("replace"))


def lenient(errors: str) -> dict[str, Any]:
    """Return the argument of `av.open` that lets metadata be in any encoding.

    From version 19 on, PyAV is always lenient and has no such argument.

    Args:
        errors: what becomes of bytes that are not UTF-8, as for `bytes.decode`.
    """
    is_always = int(av.__version__.partition(".")[0]) >= 19
    return {} if is_always else {"metadata_errors": errors}


def _frames(file: _File, name: str, allow_truncated: bool) -> Iterator[av.AudioFrame]:
    """Decode the default audio stream and check that its end was reached."""

    def refuse(reason: str) -> None:
        if not allow_truncated:
            raise AudioError(f"{name}: is truncated: {reason}")
        warn(f"truncated, used as it is: {name}: {reason}")

    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise AudioError(f"{name}: is empty (0 bytes)")
    declares_more = is_cut(file)
    file.seek(0)
    head = file.read(4096)
    may_be_whole = declares_more and is_mp3(head)
    file.seek(0)
    missing = f"its container declares more than the {size} bytes that are there"
    if declares_more and not may_be_whole:
        refuse(missing)
    packets = failed = 0
    found = 0  # bytes in packets of all streams
    ends: dict[int, int] = {}  # by stream, in its unit of time
    last: av.Packet | bytes = b""
    with _container(file) as container:
        if not container.streams.audio:
            raise AudioError(
                f"{name}: has no audio stream (read as {container.format.long_name})"
            )
        stream = default_stream(container)
        ours, timed = stream.index, container.format.name in _TIMED
        for packet in container.demux():
            index = packet.stream_index
            found += packet.size
            if index == ours:
                packets += 1
                last = packet if packet.size else last
                try:
                    frames = stream.decode(packet)
                except (av.FFmpegError, ValueError):  # a codec that is not known
                    # Tags and stray damaged packets are skipped, as players do.
                    failed += 1
                    continue
                yield from frames
                if not packet.size and packet.dts is None:
                    # The last packet. PyAV fails on streams that appeared late.
                    break
            # Look at all streams: the sound of a video may end before its pictures.
            if timed and packet.pts is not None:
                packet_end = packet.pts + (packet.duration or 0)
                ends[index] = max(ends.get(index, 0), packet_end)
        units = {one.index: one.time_base for one in container.streams}
        end = max((float(ends[one] * (units[one] or 0)) for one in ends), default=0.0)
        declared = (container.duration or 0) / av.time_base if timed else 0.0
        is_whole = ends_whole(bytes(last), container.format.name)

    if failed > packets / 20:
        raise AudioError(
            f"{name}: is damaged: {failed} of {packets} packets cannot be decoded"
        )
    is_all_there = has_all_bytes(head, size)
    # Where much is damaged, packets are not even found. A wrong duration alone is no
    # damage.
    if is_all_there and end < declared / 2 and found < size / 2:
        raise AudioError(
            f"{name}: is damaged: {end:.1f} of {declared:.1f} s can be decoded"
        )
    if is_whole or (declares_more and not may_be_whole) or is_all_there:
        return
    if may_be_whole:
        refuse(missing)
    elif declared - end > 0.25:
        refuse(f"it declares {declared:.1f} s, of which {end:.1f} s are there")


def default_stream(container: InputContainer) -> av.AudioStream:
    """Return the audio stream that a container marks as its own, or the first."""
    streams = container.streams.audio
    for stream in streams:
        if stream.disposition & Disposition.default:
            return stream
    return streams[0]


def mono_blocks(
    frames: Iterable[av.AudioFrame], name: str
) -> Iterator[tuple[int, np.ndarray]]:
    """Downmix frames, in bounded memory, one kind after the other.

    Args:
        frames: of one stream, in order.
        name: what an error message calls it.

    Yields:
        Sample rate in hertz, and float32 samples (n,) of a second or two.

    Raises:
        AudioError: the sample rate is too low to be one.
    """

    def kind(frame: av.AudioFrame) -> tuple[int, int, str]:
        return frame.sample_rate, frame.layout.nb_channels, frame.format.name

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
    _, full_scale, _ = _FORMATS[frame.format.packed.name]
    with np.errstate(all="ignore"):  # what is not finite is refused later
        channels = _channels(frame)
        count = len(channels)
        mono = sum(channels[1:], channels[0])  # many times as fast as NumPy's mean
        if count > 1:
            loudest = _instead_of_mean(channels, mono)
            if loudest is not None:
                return loudest / np.float32(full_scale)
        if count * full_scale > 1:
            mono = mono / np.float32(count * full_scale)
        return mono


def _instead_of_mean(
    channels: list[np.ndarray], total: np.ndarray
) -> np.ndarray | None:
    """Return the channel to take if the mean does not contain the music.

    Args:
        channels: float32 (samples,) each.
        total: their sum.

    Returns:
        None if the mean contains it. An offset or hum that all channels share stays in
        the mean, so what changes from sample to sample, in which these are weak, must
        not be cancelled either.
    """
    for change in (False, True):
        of = np.diff if change else np.asarray
        energies = [_energy(of(channel)) for channel in channels]
        # The comparison is written so that the mean stays where it is not finite.
        if _energy(of(total)) < _CANCELLED * sum(energies):
            # Choose the same channel in each block where several are about as loud.
            loud = [energy >= max(energies) / 4 for energy in energies]
            return channels[loud.index(True)]
    return None


def _channels(frame: av.AudioFrame) -> list[np.ndarray]:
    """Return a frame's channels, float32 (samples,) that are 0 in silence."""
    silence, _, dtype = _FORMATS[frame.format.packed.name]
    buffers: tuple[Any, ...] = frame.planes
    planes = [np.frombuffer(buffer, dtype) for buffer in buffers]
    if frame.format.is_planar:
        channels = [plane[: frame.samples] for plane in planes]
    else:
        count = frame.layout.nb_channels
        channels = list(planes[0][: frame.samples * count].reshape(-1, count).T)
    floats = [np.ascontiguousarray(channel, np.float32) for channel in channels]
    return [channel - silence for channel in floats] if silence else floats


def _energy(samples: np.ndarray) -> float:
    # Not by BLAS, which would split the product among threads.
    return float(np.einsum("i,i", samples, samples))


def resample(
    blocks: Iterable[tuple[int, np.ndarray]], sample_rate: int
) -> Iterator[np.ndarray]:
    """Bring blocks with their sample rates, of `mono_blocks`, to one rate."""
    for rate, group in groupby(blocks, itemgetter(0)):
        stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
        for _, block in group:
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.empty(0, np.float32), last=True)
