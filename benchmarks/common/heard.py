"""Recordings that something can be heard in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bytecover_tf.data.files import recordings
from bytecover_tf.errors import AudioError


def heard(folder: Path) -> Iterator[Path]:
    """Yield the recordings in a folder that are undamaged and not silent.

    Args:
        folder: recordings of any kind, subfolders included.

    Raises:
        DataError: as of `recordings`.
    """
    from bytecover_tf.audio.decoding import load_audio

    for path in recordings(folder):
        try:
            load_audio(path)
        except AudioError:
            continue
        yield path
