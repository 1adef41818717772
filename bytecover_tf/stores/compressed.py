"""Rows of a feature store, rounded and compressed, for one that comes with a package.

Half of the bits of a float16 are noise as far as embeddings are concerned, and no
compression makes noise smaller. So the last bits of the mantissa are rounded away
first. Neighbouring bins are alike: what is compressed is how much each differs from the
one below it, as a whole number, its low bytes apart from its high bytes.
"""

from __future__ import annotations

import lzma

import numpy as np

_MOST_DROPPED = 8
# The bits of the largest float16 that is finite.
_LARGEST = 0x7BFF


def compress_rows(rows: np.ndarray, dropped_bits: int) -> bytes:
    """Return rows as few bytes, from which `decompress_rows` makes them again.

    Args:
        rows: float16 (frames, n_bins), none negative.
        dropped_bits: of the 10 bits of a mantissa, how many are lost, 0 to 8. A value
            changes by a share of 2^(bits - 11) at most, 1.6 % at 5 bits.

    Raises:
        ValueError: a value is negative or not finite, or there are too many bits.
    """
    if not 0 <= dropped_bits <= _MOST_DROPPED:
        raise ValueError(f"dropped_bits must be 0 to 8. Received: {dropped_bits}")
    if not (np.isfinite(rows) & (rows >= 0)).all():
        raise ValueError("rows must be finite and not negative")
    # The bits of a float16 that is not negative, read as a number, rise with it.
    bits = np.abs(rows).astype("<f2").view("<u2").astype(np.uint32)
    numbers = (bits + (1 << dropped_bits >> 1)) >> dropped_bits
    numbers = np.minimum(numbers, _LARGEST >> dropped_bits)
    changes = np.diff(numbers, axis=1, prepend=0).astype("<u2").view(np.uint8)
    planes = changes.reshape(*rows.shape, 2).transpose(2, 0, 1)
    return lzma.compress(bytes([dropped_bits]) + planes.tobytes(), preset=9)


def decompress_rows(data: bytes, n_bins: int) -> np.ndarray:
    """Return rows float16 (frames, n_bins) of what `compress_rows` returned.

    Raises:
        ValueError: that is not what these bytes are.
    """
    try:
        plain = lzma.decompress(data)
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(str(error)) from None
    if not plain or plain[0] > _MOST_DROPPED or (len(plain) - 1) % (2 * n_bins):
        raise ValueError(f"expected whole rows of {n_bins} bins")
    planes = np.frombuffer(plain, np.uint8, offset=1).reshape(2, -1, n_bins)
    changes = planes.transpose(1, 2, 0).copy().view("<u2")[..., 0]
    numbers = np.cumsum(changes, axis=1, dtype=np.uint16)
    return (numbers << plain[0]).astype("<u2").view("<f2").astype(np.float16)
