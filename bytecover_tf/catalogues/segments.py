"""Which parts of a recording are embedded, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bytecover_tf.audio.windows import loudness, sounds
from bytecover_tf.catalogues.rows import Recording, Row
from bytecover_tf.errors import ConfigError

if TYPE_CHECKING:
    from bytecover_tf.encoders.encoder import Encoder
    from bytecover_tf.stores.extraction import Extracted


# Bounds on the length and the hop of windows, in seconds: a tenth is less than a frame
# of any encoder, and a day more than any recording.
_SHORTEST, _LONGEST = 0.1, 86_400.0


@dataclass(frozen=True)
class Segmenting:
    """The windows that are embedded beside the whole recording.

    Attributes:
        seconds: length of a window; 0 for no windows.
        hop: seconds from the start of one window to that of the next.

    Raises:
        ConfigError: a value is negative, absurdly small or large, or only one of the
            two is 0.
    """

    seconds: float = 0.0
    hop: float = 0.0

    def __post_init__(self) -> None:
        whole = (self.seconds, self.hop) == (0, 0)
        if not whole and not all(
            _SHORTEST <= each <= _LONGEST for each in (self.seconds, self.hop)
        ):
            raise ConfigError(
                f"segments need a length and a hop from {_SHORTEST} to {_LONGEST:.0f} "
                f"seconds, found {self.seconds:g} and {self.hop:g}"
            )

    def __str__(self) -> str:
        if not self.seconds:
            return "whole recordings only"
        return f"windows of {self.seconds:g} s every {self.hop:g} s"

    def windows(self, frames: int, seconds_per_frame: float) -> list[tuple[int, int]]:
        """Return the windows of a recording.

        Args:
            frames: the recording's length in pooled frames.
            seconds_per_frame: duration of one.

        Returns:
            The first frame of each window and the frame after its last. The last window
            ends where the recording ends. A recording that is no longer than a window
            has none.
        """
        if not self.seconds:
            return []
        length = max(round(self.seconds / seconds_per_frame), 1)
        hop = max(round(self.hop / seconds_per_frame), 1)
        if frames <= length:
            return []
        starts = [*range(0, frames - length, hop), frames - length]
        return [(start, start + length) for start in starts]


# One embedding of more seconds than this says little about each tune in them.
_LONG = 360.0
_LONG_WINDOWS = Segmenting(180.0, 90.0)


def windows_of(
    features: np.ndarray,
    seconds_per_frame: float,
    segmenting: Segmenting | None = None,
) -> list[tuple[int, int]]:
    """Return the windows of a recording or a query that get their own embeddings.

    Args:
        features: its pooled frames, (n_bins, T).
        seconds_per_frame: duration of one.
        segmenting: the windows to make. A long recording, such as an album in one file,
            gets windows in any case.

    Returns:
        As `Segmenting.windows`, without those that are silent.
    """
    frames = features.shape[1]
    if segmenting is None or not segmenting.seconds:
        is_long = frames * seconds_per_frame > _LONG
        segmenting = _LONG_WINDOWS if is_long else Segmenting()
    loudest = loudness(features)
    return [
        (start, end)
        for start, end in segmenting.windows(frames, seconds_per_frame)
        if sounds(features[:, start:end], loudest)
    ]


def embed_rows(
    encoder: Encoder,
    recordings: Sequence[Recording],
    extracted: Sequence[Extracted],
    segmenting: Segmenting,
) -> tuple[list[Row], dict[str, str]]:
    """Embed recordings and their windows.

    A window is embedded as if it were a recording: its features are normalised by
    its own maximum. A silent window has no row.

    Args:
        encoder: makes the embeddings.
        recordings: N recordings.
        extracted: what was read of each, with features and chroma.
        segmenting: which windows to embed, beside those of long recordings.

    Returns:
        The rows, and by path the reason why a recording has none.
    """
    seconds = encoder.frontend.seconds_per_frame
    parts: list[tuple[Recording, int, int, int, np.ndarray | None]] = []
    arrays, heard = [], []
    for recording, content in zip(recordings, extracted, strict=True):
        features, chroma = content.features, content.chroma
        assert features is not None
        whole = (0, features.shape[1])
        spans = [whole, *windows_of(features, seconds, segmenting)]
        for number, (start, end) in enumerate(spans):
            parts.append((recording, number, start, end, None if number else chroma))
            arrays.append(features[:, start:end])
            # A window sounds another way than it does in the whole.
            heard.append(None if number else content.heard)
    names = [part[0].path for part in parts]
    vectors, errors = encoder.try_features(arrays, names, heard)
    failed = {
        recording.path: errors[index]
        for index, (recording, number, *_) in enumerate(parts)
        if number == 0 and index in errors
    }
    rows = [
        Row(recording, number, start * seconds, end * seconds, embedding, chroma)
        for index, ((recording, number, start, end, chroma), embedding) in enumerate(
            zip(parts, vectors, strict=True)
        )
        if index not in errors and recording.path not in failed
    ]
    return rows, failed
