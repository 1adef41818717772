"""Notes of a recording from the probabilities that a network gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

# A pitch sounds above the first value; a new note begins at a peak of the onsets above
# the second.
_SOUNDS = 0.3
_BEGINS = 0.45


@dataclass(frozen=True)
class Transcription:
    """Notes that were heard, as arrays (notes,).

    Attributes:
        pitches: MIDI numbers.
        starts: seconds.
        ends: seconds.
        strengths: how likely each note sounds, from 0 to 1.
        melody: how likely it is the melody, from 0 to 1.
    """

    pitches: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    strengths: np.ndarray
    melody: np.ndarray

    def __len__(self) -> int:
        return len(self.pitches)

    def where(self, chosen: np.ndarray) -> Transcription:
        """Return the notes that a boolean array (notes,) chooses."""
        return replace(
            self, **{name: values[chosen] for name, values in vars(self).items()}
        )


def transcribe(
    notes: np.ndarray,
    onsets: np.ndarray,
    melody: np.ndarray,
    seconds: float,
    lowest: int = 21,
) -> Transcription:
    """Cut probabilities into notes.

    Args:
        notes: how likely each pitch sounds, (pitches, frames), from 0 to 1.
        onsets: likewise, begins.
        melody: likewise, is the melody.
        seconds: from one frame to the next.
        lowest: MIDI number of the first pitch.

    Returns:
        The notes, pitch by pitch. A note lasts while its pitch sounds, up to the next
        peak of the onsets.
    """
    found = [
        (
            lowest + pitch,
            start * seconds,
            end * seconds,
            notes[pitch, start:end].mean(),
            melody[pitch, start:end].mean(),
        )
        for pitch in range(len(notes))
        for start, end in _spans(notes[pitch] > _SOUNDS, onsets[pitch])
    ]
    pitches, *others = np.array(found, dtype=float).reshape(-1, 5).T
    return Transcription(pitches.astype(int), *others)


def _spans(sounding: np.ndarray, onsets: np.ndarray) -> list[tuple[int, int]]:
    """Return the first frame of each note of a pitch, and the first after it."""
    changes = np.diff(sounding.astype(int), prepend=0, append=0)
    starts, ends = (np.flatnonzero(changes == sign) for sign in (1, -1))
    inner = onsets[1:-1]
    peaks = 1 + np.flatnonzero(
        (inner > _BEGINS) & (inner >= onsets[:-2]) & (inner > onsets[2:])
    )
    spans: list[tuple[int, int]] = []
    for start, end in zip(starts, ends, strict=True):
        # A peak right at the start belongs to the note itself.
        inside = peaks[(peaks >= start + 2) & (peaks < end - 1)]
        cuts = [int(start), *map(int, inside), int(end)]
        spans += pairwise(cuts)
    return spans
