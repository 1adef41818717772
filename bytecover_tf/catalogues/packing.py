"""How a catalogue keeps the chroma of a recording: four bits a value.

Alignment compares only the directions of frames, which sixteen levels preserve. A
recording of four minutes takes 3 kB per part.
"""

from __future__ import annotations

import numpy as np

from bytecover_tf.audio.chroma import PITCH_CLASSES

BYTES_PER_FRAME = PITCH_CLASSES // 2

# The factor from the highest of sixteen levels to the highest value of a byte.
_STEP = 17


def pack(chroma: np.ndarray) -> bytes:
    """Return a chroma as bytes: part by part, frame by frame, six bytes each.

    Args:
        chroma: uint8 (12 * parts, frames).
    """
    parts = chroma.reshape(-1, PITCH_CLASSES, chroma.shape[1])
    frames = parts.transpose(0, 2, 1).reshape(-1, PITCH_CLASSES)
    levels = (frames.astype(np.uint16) + _STEP // 2) // _STEP
    return (levels[:, ::2] | levels[:, 1::2] << 4).astype(np.uint8).tobytes()


def unpack(packed: bytes, parts: int = 1) -> np.ndarray:
    """Return the chroma that `pack` packed, each value off by at most 8.

    Args:
        packed: a multiple of six bytes for each part.
        parts: their number.

    Returns:
        uint8 (12 * parts, frames); packed again it gives the same bytes.
    """
    pairs = np.frombuffer(packed, np.uint8).reshape(-1, BYTES_PER_FRAME)
    levels = np.stack([pairs & 15, pairs >> 4], axis=2)
    frames = levels.reshape(parts, -1, PITCH_CLASSES) * _STEP
    return frames.transpose(0, 2, 1).reshape(parts * PITCH_CLASSES, -1)
