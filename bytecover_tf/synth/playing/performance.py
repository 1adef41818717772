"""An arranged score, or an imitation of a recording: who plays which notes when."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PlayedNote:
    """A note of a performance: start and length in seconds, MIDI pitch, velocity."""

    start: float
    duration: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Part:
    """One player: role (`melody`, a pattern's name, `written`), program, notes."""

    role: str
    program: int
    notes: tuple[PlayedNote, ...]


@dataclass(frozen=True)
class Performance:
    """An arranged score.

    Attributes:
        parts: the players; the first has the melody.
        sections: (index of the score's section, its start in seconds) in the
            order played, without the introduction.
        duration: seconds until the last note ends.
        cents: tuning above concert pitch.
    """

    parts: tuple[Part, ...]
    sections: tuple[tuple[int, float], ...]
    duration: float
    cents: float
