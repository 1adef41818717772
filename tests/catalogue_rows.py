"""Rows to fill a catalogue with."""

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogues import Identity, Recording, Row

DIM = 16
IDENTITY = Identity("e" * 64, Frontend(), DIM, encoder_path="/models/first")


def unit(vectors):
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def recording(number, **changes):
    values = {
        "id": f"{number:016x}",
        "work": f"work {number % 7}",
        "title": f"It's “{number}”",
        "artist": "Ärtist",
        "album": "",
        "path": f"/music/{number}.flac",
        "duration": 200.5 + number,
        "content": f"{number:064x}",
        "size": 2**40 + number,
        "mtime_ns": 1_700_000_000_123_456_789 + number,
    }
    return Recording(**{**values, **changes})


def chroma(number, frames=30):
    """Chroma of levels that packing keeps."""
    levels = np.random.default_rng(number).integers(0, 16, (12, frames))
    return (levels * 17).astype(np.uint8)


def whole(number, vector, **changes):
    made = recording(number, **changes)
    return Row(made, 0, 0.0, made.duration, unit(vector), chroma(number))
