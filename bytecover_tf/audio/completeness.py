"""Checks that a recording's file is complete, and was not cut off.

A file that was cut off decodes without an error, but half a song has a different
embedding. So we compare what the container declares with what is there. A header can
also declare more than was ever written. To tell the two cases apart, we look at the
end: a file that was cut off usually ends in the middle of a frame.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO, Literal

# Bytes that may be missing at the end of a file whose writer miscounted.
_HAIR = 256
# A program that writes RIFF or FORM to a pipe does not know the size, and declares 0 or
# about the most that a signed or an unsigned number holds.
_STREAMED = (range(0x7F000000, 0x80001000), range(0xFFFFF000, 0x100000000))
# The byte count in the first frame of an mp3, after its flags and frame count.
_XING = re.compile(rb"(?:Xing|Info)\0\0\0[\x03\x07\x0b\x0f].{4}(.{4})", re.DOTALL)
# Chunks that hold the samples, of WAV, AIFF, and AVI.
_SAMPLES = (b"data", b"SSND", b"movi")
# How Matroska and ASF begin, and where they say how large they are.
_EBML, _SEGMENT = bytes.fromhex("1A45DFA3"), bytes.fromhex("18538067")
_ASF = bytes.fromhex("3026B2758E66CF11A6D900AA0062CE6C")
_ASF_FILE = bytes.fromhex("A1DCAB8C47A9CF118EE400C00C205365")
# Bit rates of MPEG-1 and MPEG-2 layer III in kbit/s, and sample rates of MPEG-1.
_BIT_RATES = (
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_SAMPLE_RATES = (44_100, 48_000, 32_000)


def is_cut(file: BinaryIO) -> bool:
    """Tell whether a container declares more bytes than there are.

    Args:
        file: open at its beginning; its position afterwards is undefined.

    Returns:
        False for containers that declare nothing. For an mp3, True does not yet mean
        that sound is missing, see `ends_whole`.
    """
    size = os.fstat(file.fileno()).st_size
    head = file.read(12)
    file.seek(0)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        return _riff_is_cut(file, size)
    if head[:4] == b"OggS":
        return _ogg_is_cut(file, size)
    if head[4:8] == b"ftyp":
        return _mp4_is_cut(file, size)
    if head[:4] == b"caff":
        return _caf_is_cut(file, size)
    if head[:4] == b"riff":
        return _w64_is_cut(file, size)
    if head[:4] == _ASF[:4]:
        return (_asf_size(file.read(4096)) or 0) > size + _HAIR
    if head[:3] == b"FLV":
        return _flv_is_cut(file, size)
    if is_mp3(head):
        return _mp3_is_cut(file, size)
    return False


def is_mp3(head: bytes) -> bool:
    """Tell whether a file begins as an mp3 does."""
    return head[:3] == b"ID3" or head[:1] == b"\xff"


def has_all_bytes(head: bytes, size: int) -> bool:
    """Tell whether a file has as many bytes as its container says.

    Args:
        head: its first bytes.
        size: how many it has.

    Returns:
        False for containers that do not say so, or say it in another way.
    """
    declared = None
    if head[:4] == _EBML:
        declared = _matroska_size(head)
    elif head[:16] == _ASF:
        declared = _asf_size(head)
    return declared is not None and declared <= size


def _asf_size(head: bytes) -> int | None:
    """Return the size of an ASF file; None if its writer did not know it."""
    at = head.find(_ASF_FILE)
    return (
        int.from_bytes(head[at + 40 : at + 48], "little") or None if at >= 0 else None
    )


def _matroska_size(head: bytes) -> int | None:
    """Return the size of a Matroska file; None if its writer did not know it."""
    position = 4
    for is_segment in (False, True):
        if is_segment and head[position : position + 4] != _SEGMENT:
            return None
        position += 4 if is_segment else 0
        first = head[position] if position < len(head) else 0
        # The number of bytes is that of leading zeros, and one.
        width = 9 - first.bit_length()
        digits = int.from_bytes(head[position : position + width], "big")
        length = digits & ((1 << 7 * width) - 1)
        if width > 8 or length == (1 << 7 * width) - 1:
            return None
        position += width + length
    return position


def ends_whole(packet: bytes, container: str) -> bool:
    """Tell whether the last packet of a recording is a whole frame.

    Args:
        packet: as the demuxer gave it.
        container: FFmpeg's name of the container. Only `mp3`, `flac` and `wv` files are
            plain sequences of frames, so only these end with a partial frame when they
            were cut off.
    """
    if container == "wv":
        declared = 8 + int.from_bytes(packet[4:8], "little")
        return packet[:4] == b"wvpk" and len(packet) == declared
    if container == "flac":
        return len(packet) > 2 and _crc16(packet) == 0
    if container == "mp3":
        length = _mp3_frame_length(packet[:4])
        return length is not None and len(packet) >= length
    return False


def _chunks(
    file: BinaryIO,
    size: int,
    start: int,
    name_size: int,
    length_size: int,
    order: Literal["little", "big"],
    unit: int = 1,
    counts_head: bool = False,
) -> Iterator[tuple[bytes, int, int]]:
    """Yield of each chunk its first four bytes, and where its content is.

    Args:
        file: at the content of the chunk while that is looked at.
        size: of the file.
        start: of the first chunk.
        name_size: bytes of a name.
        length_size: bytes of a length, which follows the name.
        order: of the bytes of a length.
        unit: a chunk is followed by zeros up to a multiple of so many bytes.
        counts_head: whether a length counts name and length too.

    Yields:
        Name, position and length of the content; what is declared may not be there.
    """
    head_size = name_size + length_size
    position = start
    while position + head_size <= size:
        file.seek(position)
        head = file.read(head_size)
        length = int.from_bytes(head[name_size:], order)
        if counts_head:
            length = max(length - head_size, 0)
        position += head_size
        yield head[:4], position, length
        position += length + -length % unit


def _riff_is_cut(file: BinaryIO, size: int) -> bool:
    head = file.read(36)
    order: Literal["little", "big"] = "little"
    if head[:4] in (b"FORM", b"RIFX"):
        order = "big"
    if head[:4] == b"RF64":
        declared = int.from_bytes(head[20:28], "little")
        samples = int.from_bytes(head[28:36], "little")
    else:
        declared = int.from_bytes(head[4:8], order)
        samples = None
        if any(declared in sizes for sizes in _STREAMED):
            return False
    if 8 + declared <= size + _HAIR:
        return False
    # The samples may still be complete.
    for name, start, length in _chunks(file, size, 12, 4, 4, order, unit=2):
        if (file.read(4) if name == b"LIST" else name) in _SAMPLES:
            length = length if samples is None else samples
            return start + length > size + _HAIR
    return True


def _ogg_is_cut(file: BinaryIO, size: int) -> bool:
    longest_page = 65_307
    file.seek(max(0, size - longest_page))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27:
        return True
    payload = 27 + page[26]
    return len(page) < payload + sum(page[27:payload])


def _caf_is_cut(file: BinaryIO, size: int) -> bool:
    for name, start, length in _chunks(file, size, 8, 4, 8, "big"):
        if name == b"data":
            # All bits are set if the samples reach to the end of the file.
            return length < 2**63 and start + length > size + _HAIR
    return False


def _w64_is_cut(file: BinaryIO, size: int) -> bool:
    # A chunk is named by a GUID.
    chunks = _chunks(file, size, 40, 16, 8, "little", unit=8, counts_head=True)
    for name, start, length in chunks:
        if name == b"data":
            return length < 2**62 and start + length > size + _HAIR
    return False


def _flv_is_cut(file: BinaryIO, size: int) -> bool:
    """Tell whether the last tag is not followed by its size, as each is."""
    file.seek(max(size - 4, 0))
    length = int.from_bytes(file.read(4), "big")
    if length > size - 4:
        return True
    file.seek(size - 4 - length)
    return int.from_bytes(file.read(4)[1:], "big") + 11 != length


def _mp4_is_cut(file: BinaryIO, size: int) -> bool:
    position = 0
    has_index = False
    while position < size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # the box reaches to the end of the file
            return False
        position += length
        kind = head[4:8]
        if position > size:
            # An index of all samples in front, as one of a fragment is not, tells by
            # their times whether one is missing.
            return kind in (b"moov", b"moof") or (kind == b"mdat" and not has_index)
        has_index = kind == b"moov" or (has_index and kind != b"moof")
    return False


def _mp3_is_cut(file: BinaryIO, size: int) -> bool:
    start = 0
    head = file.read(10)
    if head[:3] == b"ID3" and len(head) == 10:
        a, b, c, d = head[6:10]  # seven bits each
        start = 10 + (a << 21 | b << 14 | c << 7 | d)
    file.seek(start)
    tag = _XING.search(file.read(4096))
    return tag is not None and start + int.from_bytes(tag[1], "big") > size + _HAIR


def _mp3_frame_length(header: bytes) -> int | None:
    """Return the bytes of a layer III frame, or None if this is not its header."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version = header[1] >> 3 & 3  # 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5
    bit_rate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or bit_rate in (0, 15) or rate == 3:
        return None
    is_first = version == 3
    bits = 1000 * _BIT_RATES[0 if is_first else 1][bit_rate - 1]
    hertz = _SAMPLE_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    return (144 if is_first else 72) * bits // hertz + padding


def _crc16(data: bytes) -> int:
    """Return the checksum of a FLAC frame; it is 0 for a whole frame that ends with it.

    The polynomial is x^16 + x^15 + x^2 + 1.
    """
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFF) ^ _CRC16[value >> 8 ^ byte]
    return value


def _crc16_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 8
        for _ in range(8):
            value = value << 1 ^ (0x8005 if value & 0x8000 else 0)
        table.append(value & 0xFFFF)
    return tuple(table)


_CRC16 = _crc16_table()
