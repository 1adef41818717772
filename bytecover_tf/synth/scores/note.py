"""Notes of a score."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """A note of a score.

    Attributes:
        onset: start in beats.
        duration: length in beats.
        pitch: MIDI number.
    """

    onset: float
    duration: float
    pitch: int

    @property
    def end(self) -> float:
        """Where the note stops, in beats."""
        return self.onset + self.duration
