"""Perform what was heard in a recording as one of its covers might.

The cover differs from the recording in key, tempo, the order of passages, the melody's
octave, its accompaniment, and the players. Its melody consists of the notes that were
heard as melody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bytecover_tf.errors import DataError
from bytecover_tf.synth.playing.accompany import CLOSED_HAT, KICK, SNARE
from bytecover_tf.synth.playing.performance import Part, Performance, PlayedNote
from bytecover_tf.synth.playing.transcribe import Transcription

FEWEST_NOTES = 20
"""Notes that a passage must have."""

# Seconds of a recording that are performed.
_PASSAGE = (35.0, 85.0)
# Share of the versions in another order, and the seconds left out in half of these.
_REORDERED, _LEFT_OUT = 0.35, (6.0, 16.0)
# From this likelihood on, a note is melody. If fewer than this share of the notes are,
# and in some other versions too, the highest notes are played as the melody.
_MELODY, _FEWEST_MELODY, _HIGHEST = 0.35, 0.04, 0.1
# The highest notes count if they are stronger and higher than these values; the lowest
# are the bass if they are lower than the third.
_AUDIBLE, _LOWEST_MELODY, _HIGHEST_BASS = 0.24, 52, 54
_SHORTEST_NOTE = 0.03
# The kinds of accompaniment, and how often each is chosen: the other notes, or some of
# them; chords made of them; the bass alone; or nothing.
_ACCOMPANIMENTS = {"all": 0.35, "some": 0.2, "chords": 0.3, "bass": 0.08, "none": 0.07}
_CHORD_ROLES = ("block", "pad", "strum", "arpeggio")


def reperform(heard: Transcription, rng: np.random.Generator) -> Performance:
    """Perform a passage of what was heard.

    Args:
        heard: notes of a recording.
        rng: source of all random choices.

    Returns:
        The performance. Equal arguments give equal performances.

    Raises:
        DataError: the passage has fewer than `FEWEST_NOTES` notes, or no melody.
    """
    heard, seconds = _passage(heard, rng)
    if rng.random() < _REORDERED:
        heard, seconds = _reordered(heard, seconds, rng)
    if len(heard) < FEWEST_NOTES:
        raise DataError(
            f"{len(heard)} notes are heard in a passage of {seconds:.0f} s; expected "
            f"{FEWEST_NOTES}"
        )
    tempo = float(np.clip(np.exp(rng.normal(0, 0.18)), 0.65, 1.5))
    key = 0 if rng.random() < 0.3 else int(np.clip(np.rint(rng.normal(0, 3)), -6, 6))
    heard = replace(
        heard,
        pitches=heard.pitches + key,
        starts=heard.starts / tempo,
        ends=heard.ends / tempo,
    )
    is_melody, is_bass = _voices(heard, rng)
    if not is_melody.any():
        raise DataError("no melody is heard")
    lines = [
        *_melody(heard.where(is_melody), rng),
        *_accompaniment(heard, is_melody, is_bass, seconds / tempo, rng),
    ]
    if rng.random() < 0.5:
        lines.append(("drums", _drums(seconds / tempo, rng)))
    jitter = rng.uniform(0, 0.02)
    parts = tuple(
        Part(role, 0, notes)
        for role, line in lines
        if (notes := _played(line, jitter, rng))
    )
    if not parts or parts[0].role != "melody":
        raise DataError("no melody is heard")
    return Performance(
        parts=parts,
        sections=(),
        duration=max(n.start + n.duration for part in parts for n in part.notes),
        cents=float(np.clip(rng.normal(0, 10), -30, 30)),
    )


def _passage(
    heard: Transcription, rng: np.random.Generator
) -> tuple[Transcription, float]:
    """Return a passage and its length in seconds."""
    whole = float(heard.ends.max(initial=0))
    seconds = min(whole, rng.uniform(*_PASSAGE))
    first = rng.uniform(0, max(whole - seconds, 0))
    inside = heard.where((heard.starts >= first) & (heard.starts < first + seconds))
    # A last note may outlast the passage, but not by much.
    return replace(
        inside,
        starts=inside.starts - first,
        ends=np.minimum(inside.ends - first, seconds + 1),
    ), seconds


def _reordered(
    heard: Transcription, seconds: float, rng: np.random.Generator
) -> tuple[Transcription, float]:
    """Leave out some seconds, or begin in the middle and play the start at the end."""
    length = rng.uniform(*_LEFT_OUT)
    if seconds < 1.5 * _LEFT_OUT[1]:
        return heard, seconds
    cut = rng.uniform(0, seconds - length)
    if rng.random() < 0.5:
        heard = heard.where((heard.starts < cut) | (heard.starts >= cut + length))
        moved = np.where(heard.starts >= cut, -length, 0)
        seconds -= length
    else:
        moved = np.where(heard.starts < cut, seconds - cut, -cut)
    return replace(heard, starts=heard.starts + moved, ends=heard.ends + moved), seconds


def _voices(
    heard: Transcription, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return which notes (notes,) are the melody, and which are the bass."""
    highest, lowest = np.empty((2, len(heard)), bool)
    for i, (pitch, start) in enumerate(zip(heard.pitches, heard.starts, strict=True)):
        together = heard.pitches[
            (heard.starts <= start + 0.02) & (heard.ends > start + 0.02)
        ]
        highest[i] = pitch >= together.max(initial=0)
        lowest[i] = pitch <= together.min(initial=127)
    melody = heard.melody > _MELODY
    if melody.mean() < _FEWEST_MELODY or rng.random() < _HIGHEST:
        audible = heard.strengths > _AUDIBLE
        melody = highest & audible & (heard.pitches > _LOWEST_MELODY)
    return melody, lowest & (heard.pitches < _HIGHEST_BASS) & ~melody


Lines = list[tuple[str, Transcription]]


def _melody(melody: Transcription, rng: np.random.Generator) -> Lines:
    octave = int(rng.choice([-1, 0, 0, 0, 1]))
    lines = [("melody", _thinned(melody, 0.25, rng) if rng.random() < 0.3 else melody)]
    if rng.random() < 0.2:
        lines.append(("doubling", _raised(melody, int(rng.choice([-1, 1])))))
    return [(role, _raised(notes, octave)) for role, notes in lines]


def _accompaniment(
    heard: Transcription,
    is_melody: np.ndarray,
    is_bass: np.ndarray,
    seconds: float,
    rng: np.random.Generator,
) -> Lines:
    shares = list(_ACCOMPANIMENTS.values())
    kind = str(rng.choice(list(_ACCOMPANIMENTS), p=shares))
    lines: Lines = []
    if kind in ("all", "some"):
        middle = heard.where(~is_melody & ~is_bass)
        if kind == "some":
            middle = _thinned(middle, 0.7, rng, fewest=0.2)
        octave = int(rng.choice([-1, 0, 0, 0, 0, 1]))
        lines.append(("written", _raised(middle, octave)))
    elif kind == "chords":
        role = str(rng.choice(_CHORD_ROLES))
        others = heard if rng.random() < 0.3 else heard.where(~is_melody)
        lines.append((role, _chords(others, role, seconds, rng)))
    if kind == "bass" or (kind != "none" and rng.random() < 0.85):
        octave = -1 if rng.random() < 0.2 else 0
        lines.append(("bass", _raised(heard.where(is_bass), octave)))
    return lines


def _chords(
    heard: Transcription, role: str, seconds: float, rng: np.random.Generator
) -> Transcription:
    """Play the notes that sound longest in each beat, or in two or four, as a chord."""
    length = rng.uniform(0.35, 0.7) * rng.choice([1, 2, 4])
    base = 60 if role == "pad" else int(rng.choice([48, 60, 60, 72]))
    lasting = 0.95 if role in ("pad", "block") else 0.6
    notes = []
    for start in np.arange(0, seconds, length):
        overlap = np.minimum(heard.ends, start + length) - np.maximum(
            heard.starts, start
        )
        weights = np.bincount(
            heard.pitches % 12, np.maximum(overlap, 0) * heard.strengths, 12
        )
        strongest = np.argsort(-weights)[: int(rng.integers(2, 5))]
        chosen = strongest[weights[strongest] > 0.15 * weights.max()]
        for k, pitch_class in enumerate(chosen):
            late = {"arpeggio": k * length / len(chosen), "strum": 0.01 * k}
            at = start + late.get(role, 0)
            pitch = base + (pitch_class - base) % 12
            notes.append((pitch, at, at + lasting * length, 0.55))
    return _line(notes)


def _drums(seconds: float, rng: np.random.Generator) -> Transcription:
    notes = []
    for i, at in enumerate(np.arange(0, seconds, rng.uniform(0.4, 0.75) / 2)):
        if i % 2 == 0:
            notes.append((SNARE if i % 4 else KICK, at, at + 0.1, 0.8))
        notes.append((CLOSED_HAT, at, at + 0.05, 0.6))
    return _line(notes)


def _line(notes: Sequence[tuple[float, float, float, float]]) -> Transcription:
    """Return notes of pitch, start, end and strength."""
    pitches, starts, ends, strengths = np.array(notes, float).reshape(-1, 4).T
    return Transcription(
        pitches.astype(int), starts, ends, strengths, np.zeros(len(notes))
    )


def _raised(notes: Transcription, octaves: int) -> Transcription:
    return replace(notes, pitches=notes.pitches + 12 * octaves)


def _thinned(
    notes: Transcription, most: float, rng: np.random.Generator, fewest: float = 0.0
) -> Transcription:
    """Leave out a share of the notes."""
    return notes.where(rng.random(len(notes)) > rng.uniform(fewest, most))


def _played(
    notes: Transcription, jitter: float, rng: np.random.Generator
) -> tuple[PlayedNote, ...]:
    """Return notes as a player plays them, in order; none is shorter than 0.03 s."""
    kept = notes.where(
        (notes.pitches > 12)
        & (notes.pitches < 120)
        & (notes.ends - notes.starts >= _SHORTEST_NOTE)
    )
    starts = np.maximum(kept.starts + rng.normal(0, jitter, len(kept)), 0)
    velocities = 40 + 60 * kept.strengths + rng.normal(0, 6, len(kept))
    played = [
        PlayedNote(float(start), float(length), int(pitch), int(velocity))
        for start, length, pitch, velocity in zip(
            starts,
            kept.ends - kept.starts,
            kept.pitches,
            np.clip(velocities, 20, 120),
            strict=True,
        )
    ]
    return tuple(sorted(played, key=lambda note: (note.start, note.pitch)))
