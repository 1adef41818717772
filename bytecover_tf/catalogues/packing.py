"""How a catalogue keeps the chroma of a recording: four bits a value.

Alignment compares frames by their direction, which sixteen levels keep. A recording
of four minutes takes 3 kB.
"""

from __future__ import annotations

import numpy as np

from bytecover_tf.audio.chroma import PITCH_CLASSES

BYTES_PER_FRAME = PITCH_CLASSES // 2

# From the highest of sixteen levels to that of a byte.
_STEP = 17


def pack(chroma: np.ndarray) -> bytes:
    """Return a chroma as bytes, six a frame, one frame after the other.

    Args:
        chroma: uint8 (12, frames).
    """
    levels = (chroma.T.astype(np.uint16) + _STEP // 2) // _STEP
    return (levels[:, ::2] | levels[:, 1::2] << 4).astype(np.uint8).tobytes()


def unpack(packed: bytes) -> np.ndarray:
    """Return the chroma that `pack` packed, each value off by at most 8.

    Args:
        packed: a multiple of six bytes.

    Returns:
        uint8 (12, frames); packed again it gives the same bytes.
    """
    pairs = np.frombuffer(packed, np.uint8).reshape(-1, BYTES_PER_FRAME)
    levels = np.stack([pairs & 15, pairs >> 4], axis=2)
    return np.ascontiguousarray(levels.reshape(len(pairs), PITCH_CLASSES).T * _STEP)
