"""Accompaniments made from chords.

Each pattern maps chords to notes in beats. The arranger chooses which patterns sound
together, and on which instruments.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bytecover_tf.synth.scores.harmony import Chord
from bytecover_tf.synth.scores.note import Note

KICK, SNARE, CLOSED_HAT = 36, 38, 42
BASS_LOW, CHORD_LOW = 36, 52


def block(chords: Sequence[Chord], beat: float) -> list[Note]:
    """Full chords, struck on every second beat."""
    return [
        Note(onset, length, pitch)
        for chord in chords
        for onset, length in _pulses(chord, 2 * beat)
        for pitch in _voicing(chord)
    ]


def strum(chords: Sequence[Chord], beat: float) -> list[Note]:
    """Chords on every beat, from the lowest string to the highest."""
    return [
        Note(onset + i * 0.03, length - i * 0.03, pitch)
        for chord in chords
        for onset, length in _pulses(chord, beat)
        for i, pitch in enumerate([_bass(chord) + 12, *_voicing(chord)])
    ]


def arpeggio(chords: Sequence[Chord], beat: float) -> list[Note]:
    """Broken chords, two notes to the beat (three in compound time)."""
    pace = 0.5 if beat in (1.0, 1.5) else beat / 2
    notes = []
    for chord in chords:
        up = _voicing(chord)
        cycle = up + up[-2:0:-1]
        for i, (onset, length) in enumerate(_pulses(chord, pace)):
            notes.append(Note(onset, length, cycle[i % len(cycle)]))
    return notes


def oom_pah(chords: Sequence[Chord], beat: float) -> list[Note]:
    """Root on the first beat, the chord on those that follow."""
    notes = []
    for chord in chords:
        for i, (onset, length) in enumerate(_pulses(chord, beat)):
            struck = [_bass(chord)] if i == 0 else _voicing(chord)
            notes += [Note(onset, 0.8 * length, pitch) for pitch in struck]
    return notes


def pad(chords: Sequence[Chord], beat: float) -> list[Note]:
    """Chords held until the harmony changes."""
    return [
        Note(chord.onset, chord.duration, pitch)
        for chord in _merged(chords)
        for pitch in _voicing(chord)
    ]


def bass(chords: Sequence[Chord], beat: float) -> list[Note]:
    """Root and fifth by turns, on every second beat."""
    notes = []
    for chord in chords:
        for i, (onset, length) in enumerate(_pulses(chord, 2 * beat)):
            notes.append(Note(onset, length, _bass(chord) + (7 if i % 2 else 0)))
    return notes


def drums(chords: Sequence[Chord], beat: float) -> list[Note]:
    """Kick and snare by turns, with a closed hi-hat twice a beat."""
    notes = []
    for chord in chords:
        for i, (onset, length) in enumerate(_pulses(chord, beat)):
            notes.append(Note(onset, 0.2, SNARE if i % 2 else KICK))
            notes += [
                Note(onset + half, 0.1, CLOSED_HAT)
                for half in (0.0, beat / 2)
                if half < length
            ]
    return notes


# Other drum grooves: for each drum, the beats within two beats on which it is struck.
GROOVES: dict[str, dict[int, tuple[float, ...]]] = {
    "disco": {KICK: (0, 1), SNARE: (1,), CLOSED_HAT: (0.5, 1.5)},
    "rock": {KICK: (0, 0.5), SNARE: (1,), CLOSED_HAT: (0, 0.5, 1, 1.5)},
    "funk": {
        KICK: (0, 0.75),
        SNARE: (1, 1.75),
        CLOSED_HAT: (0, 0.25, 0.5, 1, 1.25, 1.5),
    },
    "ballad": {KICK: (0,), SNARE: (1,)},
    "toms": {KICK: (0, 0.5, 1, 1.5)},
}


def groove(
    chords: Sequence[Chord], beat: float, strikes: dict[int, tuple[float, ...]]
) -> list[Note]:
    """Play one of `GROOVES`, from the beginning on each chord."""
    return [
        Note(onset + at * beat, 0.2, drum)
        for chord in chords
        for onset, length in _pulses(chord, 2 * beat)
        for drum, places in strikes.items()
        for at in places
        if at * beat < length
    ]


PATTERNS: dict[str, Callable[[Sequence[Chord], float], list[Note]]] = {
    pattern.__name__: pattern
    for pattern in (block, strum, arpeggio, oom_pah, pad, bass, drums)
}


def _pulses(chord: Chord, period: float) -> list[tuple[float, float]]:
    """(onset, length) of each pulse within the chord's span."""
    # Rounding keeps an upbeat's float noise from adding a vanishing pulse.
    count = max(1, int(np.ceil(round(chord.duration / period, 3))))
    onsets = [chord.onset + i * period for i in range(count)]
    end = chord.onset + chord.duration
    return [(onset, min(period, end - onset)) for onset in onsets]


def _merged(chords: Sequence[Chord]) -> list[Chord]:
    merged: list[Chord] = []
    for chord in chords:
        last = merged[-1] if merged else None
        if last and last.pitch_classes == chord.pitch_classes:
            duration = chord.onset + chord.duration - last.onset
            merged[-1] = replace(last, duration=duration)
        else:
            merged.append(chord)
    return merged


def _voicing(chord: Chord) -> list[int]:
    """The chord within the octave above E3, so that neighbours move little."""
    return sorted(CHORD_LOW + (pc - CHORD_LOW) % 12 for pc in chord.pitch_classes)


def _bass(chord: Chord) -> int:
    return BASS_LOW + (chord.root - BASS_LOW) % 12
