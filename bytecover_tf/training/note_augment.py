"""Random changes to heard notes that keep their work.

They stand for what differs between versions, and for what is heard amiss in them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from bytecover_tf.errors import ConfigError
from bytecover_tf.settings import check_not_negative, check_probabilities
from bytecover_tf.training.augment import draw_shift, transpose

# Frames between two values of a tempo that varies, some 11 s.
_TEMPO_FRAMES = 24
# The part of a crop before the first one that comes from elsewhere is no shorter.
_PART_FRAMES = 10
_PARTS_MOST = 4
# Semitones from the end of the range that a register may reach.
_REGISTER = (20, 56)


@dataclass(frozen=True)
class NoteAugment:
    """How often and how far crops of notes are changed.

    Notes are probabilities, and a frame is .46 s. Defaults are what an ensemble's
    network was trained with (`benchmarks/experiments.md`).

    Attributes:
        tempo: largest factor of tempo, either way, drawn evenly on a logarithmic scale.
        rubato: probability that the tempo varies within a crop, with a deviation of
            `rubato_deviation` of its logarithm.
        rubato_deviation: see `rubato`.
        short: probability that a crop is a shorter stretch, repeated.
        short_share: length of that stretch, as a share of the crop's.
        moved: probability that parts of a crop come from other places in the recording.
        transpose: probability of a change of key.
        semitones: its largest size, up or down; what enters at the edge is silent.
        other: probability that another recording is heard as well, more softly.
        register: probability that low or high pitches are hardly heard.
        misheard: probability that some notes are missed and others heard in vain.
        missed: largest share of notes that are missed.
        in_vain: largest share of pitches and frames at which a note is heard in vain.
        levels: standard deviation of the logarithms of the power and of the factors
            that all probabilities change by.
        no_melody: probability that nothing is taken for the melody.

    Raises:
        ConfigError: a probability outside 0 to 1, or a factor below 1.
    """

    tempo: float = 1.22
    rubato: float = 0.42
    rubato_deviation: float = 0.12
    short: float = 0.2
    short_share: float = 0.37
    moved: float = 0.0
    transpose: float = 0.62
    semitones: int = 9
    other: float = 0.1
    register: float = 0.25
    misheard: float = 0.35
    missed: float = 0.25
    in_vain: float = 0.01
    levels: float = 0.2
    no_melody: float = 0.2

    def __post_init__(self) -> None:
        check_probabilities(
            self,
            "note_augment.",
            *("rubato", "short", "moved", "transpose", "other", "register"),
            *("misheard", "missed", "in_vain", "no_melody"),
        )
        check_not_negative(
            self, "note_augment.", "rubato_deviation", "semitones", "levels"
        )
        if self.tempo < 1 or not 0 < self.short_share <= 1:
            raise ConfigError(
                "note_augment.tempo must be 1 or more and short_share a share, not "
                f"{self.tempo} and {self.short_share}"
            )

    def crop(
        self, notes: np.ndarray, frames: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return a stretch of a recording, played at another tempo.

        A recording that is shorter is repeated, as training does elsewhere.

        Args:
            notes: uint8 (n, semitones, 2), the melody and all notes in 255ths.
            frames: length of the crop.
            rng: source of all draws.

        Returns:
            float32 (frames, semitones, 2), from 0 to 1.
        """
        wanted = frames
        if rng.random() < self.short:
            wanted = max(round(self.short_share * frames), 1)
        at = self._draw_places(len(notes), wanted, rng)
        left = at.astype(int)
        weight = (at - left).astype(np.float32)[:, None, None]
        right = np.minimum(left + 1, len(notes) - 1)
        crop = notes[left] * (1 - weight) + notes[right] * weight
        return crop[np.arange(frames) % wanted] / np.float32(255)

    def change(self, notes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a crop in another key, and heard otherwise.

        Args:
            notes: float32 (semitones, frames, 2), from 0 to 1.
            rng: source of all draws.

        Returns:
            Such an array.
        """
        notes = transpose(notes, draw_shift(self.transpose, self.semitones, rng))
        if rng.random() < self.register:
            edge = int(rng.integers(*_REGISTER))
            where = slice(edge) if rng.random() < 0.6 else slice(edge, None)
            notes[where] *= rng.uniform(0, 0.4)
        if rng.random() < self.misheard:
            size = notes.shape[:2]
            is_missed = rng.random(size) < rng.uniform(0, self.missed)
            notes[is_missed] = 0
            is_heard = rng.random(size) < rng.uniform(0, self.in_vain)
            in_vain = is_heard * rng.uniform(0.2, 0.9, size)
            notes[..., 1] = np.maximum(notes[..., 1], in_vain)
        power, *factors = np.exp(rng.normal(0, self.levels, 3))
        notes = np.minimum(notes**power * factors, 1)
        if rng.random() < self.no_melody:
            notes[..., 0] = 0
        return notes.astype(np.float32)

    def _draw_places(
        self, length: int, frames: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return at which frame of a recording each frame of a crop lies."""
        most = np.log(self.tempo)
        tempo = np.full(frames, np.exp(rng.uniform(-most, most)))
        if rng.random() < self.rubato:
            knots = frames // _TEMPO_FRAMES + 2
            values = np.exp(rng.normal(0, self.rubato_deviation, knots))
            tempo *= np.interp(np.linspace(0, knots - 1, frames), range(knots), values)
        places = np.cumsum(tempo) - tempo[0]
        last = max(length - 1, 1)
        room = last - places[-1]
        places += rng.uniform(0, room if room > 0 else last)
        if rng.random() < self.moved:
            parts = int(rng.integers(2, _PARTS_MOST + 1))
            inner = rng.integers(_PART_FRAMES, max(frames, _PART_FRAMES + 1), parts - 1)
            ends = [*np.sort(inner), frames]
            for start, end in itertools.pairwise(ends):
                places[start:end] += rng.uniform(0, last)
        return places % last
