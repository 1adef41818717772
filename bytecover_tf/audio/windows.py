"""Features and chroma of the overlapping windows of a long recording or a stream.

Memory holds a window and what has been decoded beyond it, however long the recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bytecover_tf.audio.chroma import chroma_of_cqt, frames_per_chroma
from bytecover_tf.audio.streaming import Average, StreamedTransform

if TYPE_CHECKING:
    from bytecover_tf.audio.frontend import Frontend
    from bytecover_tf.audio.hearing import Heard, Hearing


# Beside music at full scale, the dither of 16-bit silence is a third of this share of
# the loudest sample, and less than a tenth of it in the transform. What rounding leaves
# there of no sound at all is far less.
_RESIDUE = 1e-4


def sounds(part: np.ndarray, loudest: float) -> bool:
    """Tell whether a part of a recording is more than silence.

    Beside music, silence is no zeros in the transform: dither and rounding leave a
    residue, which a normalisation of the part alone would bring to full level.

    Args:
        part: samples or |CQT|, with one frame at least.
        loudest: largest magnitude of the recording that it is part of.
    """
    return loudness(part) > _RESIDUE * loudest


def loudness(part: np.ndarray) -> float:
    """Return the largest magnitude of samples or of a |CQT|."""
    return float(max(part.max(), -part.min()))


@dataclass(frozen=True)
class Window:
    """A stretch of a recording.

    Attributes:
        first: its first frame of chroma, counted from the start of the recording.
        chroma: uint8 (12 * parts, n), of the window as if it were a recording.
        features: float32 (n_bins, T), likewise; None where the window is silent.
        heard: the notes, likewise, as of `frontend.Sound`.
    """

    first: int
    chroma: np.ndarray
    features: np.ndarray | None
    heard: Heard | None = None

    @property
    def end(self) -> int:
        """The frame of chroma after its last."""
        return self.first + self.chroma.shape[1]


def iter_windows(
    blocks: Iterable[np.ndarray],
    frontend: Frontend,
    hearing: Hearing | None,
    seconds: float,
    hop: float,
    chunk_frames: int | None = None,
) -> Iterator[Window]:
    """Cut a signal into windows.

    Args:
        blocks: consecutive samples, float32 (n,) each, at the frontend's rate.
        frontend: of the features.
        hearing: the network that hears the notes; None for chroma of the
            transform alone.
        seconds: length of a window, rounded to whole frames of features and chroma.
        hop: seconds from the start of one window to that of the next, likewise.
        chunk_frames: as of `StreamedTransform`; fewer give out a window sooner.

    Yields:
        The windows in order. The last one ends where the signal does and is shorter;
        a signal that is shorter than one frame has none.

    Raises:
        ConfigError: `hearing` needs another sample rate or hop.
    """
    size = frames_per_chroma(frontend)
    if hearing is None:
        folded = Average(frontend.transform, size)
    else:
        hearing.check_rate(frontend)
        folded = hearing.average
    # Features and hearing may read the same.
    averages = list(dict.fromkeys([frontend.average, folded]))
    frame = size * frontend.hop_length  # of chroma, in samples
    step = math.lcm(frame, *(average.samples for average in averages))
    # Of a window and a hop, in steps; of a step, in frames of each average.
    hop_steps = max(round(hop * frontend.sample_rate / step), 1)
    length = max(round(seconds * frontend.sample_rate / step), hop_steps)
    widths = [step // average.samples for average in averages]
    held = [np.empty((one.transform.n_bins, 0), np.float32) for one in averages]
    first, loudest = 0, 0.0

    def cut(steps: int) -> Window:
        parts = [
            means[:, : steps * width] for means, width in zip(held, widths, strict=True)
        ]
        pooled, means = parts[0], parts[-1]
        features = None
        if pooled.size and sounds(pooled, loudest):
            features = frontend.from_cqt(pooled, frontend.pool)
        place = first * step // frame
        if hearing is None:
            return Window(place, chroma_of_cqt(means, size, frontend), features)
        chroma, heard, _ = hearing.listen(means, for_encoder=len(averages) == 1)
        return Window(place, chroma, features, heard)

    for new in _averages(
        blocks, StreamedTransform(*averages, chunk_frames=chunk_frames)
    ):
        held = [np.concatenate(pair, axis=1) for pair in zip(held, new, strict=True)]
        if new[0].size:
            loudest = max(loudest, loudness(new[0]))
        while min(map(_steps, held, widths)) >= length:
            yield cut(length)
            held = [
                means[:, hop_steps * width :]
                for means, width in zip(held, widths, strict=True)
            ]
            first += hop_steps
    rest = min(map(_steps, held, widths))
    seen = length - hop_steps if first else 0
    if rest > seen:
        yield cut(rest)


def _steps(means: np.ndarray, width: int) -> int:
    return means.shape[1] // width


def _averages(
    blocks: Iterable[np.ndarray], stream: StreamedTransform
) -> Iterator[tuple[np.ndarray, ...]]:
    is_empty = True
    for block in blocks:
        stream.add(block)
        is_empty = False
        yield stream.take()
    if not is_empty:
        yield stream.finish()
