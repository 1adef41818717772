"""Key and chords of a score, inferred from its notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from bytecover_tf.synth.scores.note import Note

# Krumhansl and Kessler's probe-tone ratings (1982), from the tonic upwards.
MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)

# Preference for a chord: (steps above the tonic, minor) -> bonus.
MAJOR_CHORDS = {
    (0, False): 0.20,
    (7, False): 0.20,
    (5, False): 0.17,
    (9, True): 0.05,
    (2, True): 0.05,
    (4, True): -0.10,
    (10, False): -0.15,
}
MINOR_CHORDS = {
    (0, True): 0.20,
    (7, False): 0.17,
    (5, True): 0.12,
    (10, False): 0.17,
    (8, False): 0.05,
    (3, False): 0.10,
    (7, True): 0.00,
    (5, False): -0.10,
}
OTHER_CHORD = -0.45
# What may be added to a triad: its sixth, seventh or ninth.
MAJOR_ADDED, MINOR_ADDED = (2, 9, 10, 11), (2, 9, 10)
STAY, FALLING_FIFTH = 0.04, 0.06


@dataclass(frozen=True)
class Chord:
    """A triad that holds for a while, possibly with a fourth note.

    Attributes:
        onset: start in beats (quarter notes).
        duration: length in beats.
        root: pitch class.
        minor: whether the third is minor.
        added: semitones from the root to a fourth note, or None for a plain triad.
    """

    onset: float
    duration: float
    root: int
    minor: bool
    added: int | None = None

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Root, third, fifth, and what is added."""
        steps = [0, 3 if self.minor else 4, 7]
        if self.added is not None:
            steps.append(self.added)
        return tuple((self.root + step) % 12 for step in steps)


def estimate_key(notes: Iterable[Note], sharps: int | None = None) -> tuple[int, bool]:
    """Return the key whose probe-tone profile correlates best with the durations.

    Args:
        notes: all notes of the score.
        sharps: of the key signature, flats negative. It leaves the choice between
            four modes: major, minor, dorian (as minor), mixolydian (as major).
            None allows every key.

    Returns:
        The tonic's pitch class, and whether the key is minor.
    """
    weights = np.zeros(12)
    for note in notes:
        weights[note.pitch % 12] += note.duration
    keys = [(tonic, minor) for tonic in range(12) for minor in (False, True)]
    if sharps is not None:
        major = 7 * sharps
        modes = (major, False), (major + 9, True), (major + 2, True), (major + 7, False)
        keys = [(tonic % 12, minor) for tonic, minor in modes]

    def fit(key: tuple[int, bool]) -> float:
        profile = np.roll(MINOR_PROFILE if key[1] else MAJOR_PROFILE, key[0])
        return float(np.nan_to_num(np.corrcoef(profile, weights)[0, 1], nan=-1.0))

    return max(keys, key=fit)


def infer_chords(
    notes: Iterable[Note], bars: Sequence[float], tonic: int, minor: bool
) -> tuple[Chord, ...]:
    """Return the most likely triads under the notes, one per bar or half bar.

    The result is the best path (Viterbi) over the 24 triads. Each span rewards chords
    that contain its notes and are usual in the key; each step rewards staying and
    falling by a fifth.

    Args:
        notes: melody, or melody and accompaniment.
        bars: bar lines in beats. Bars of 4 beats or more are halved.
        tonic: pitch class of the key.
        minor: whether the key is minor.

    Returns:
        Chords that cover the bars without gap; equal neighbours are not merged.
    """
    spans = _spans(bars)
    weights = _durations(notes, spans, accent=1.5)
    triads = [(root, is_minor) for root in range(12) for is_minor in (False, True)]
    members = np.full((len(triads), 12), -0.8)
    bonus = np.empty(len(triads))
    usual = MINOR_CHORDS if minor else MAJOR_CHORDS
    for k, (root, is_minor) in enumerate(triads):
        third = root + (3 if is_minor else 4)
        members[k, [root, third % 12, (root + 7) % 12]] = 1.1, 1.0, 0.8
        bonus[k] = usual.get(((root - tonic) % 12, is_minor), OTHER_CHORD)
    fit = weights @ members.T / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    roots = np.array([root for root, _ in triads])
    step = FALLING_FIFTH * ((roots[:, None] - roots[None, :]) % 12 == 7)
    step = step + STAY * np.eye(len(triads))
    path = _best_path(fit + bonus, step)
    return tuple(
        Chord(start, end - start, triads[k][0], triads[k][1])
        for (start, end), k in zip(spans, path, strict=True)
    )


def reharmonise(
    chords: Sequence[Chord],
    melody: Iterable[Note],
    probability: float,
    rng: np.random.Generator,
) -> tuple[Chord, ...]:
    """Replace some chords by others that share two notes with them.

    A major triad gives way to the minor triads on its third and sixth, a minor triad
    to the major ones on its third and sixth, where the melody's longest note then
    still belongs to the chord.

    Args:
        chords: chords of the score, in order.
        melody: its notes.
        probability: probability of a change, where the melody allows one.
        rng: source of the choices.

    Returns:
        As many chords in the same places.
    """
    spans = [(chord.onset, chord.onset + chord.duration) for chord in chords]
    changed = []
    for chord, sung in zip(chords, _durations(melody, spans), strict=True):
        steps = (3, 8) if chord.minor else (4, 9)
        others = [
            replace(chord, root=(chord.root + step) % 12, minor=not chord.minor)
            for step in steps
        ]
        fitting = [
            one
            for one in others
            if not sung.any() or sung.argmax() in one.pitch_classes
        ]
        if fitting and rng.random() < probability:
            chord = fitting[int(rng.integers(len(fitting)))]
        changed.append(chord)
    return tuple(changed)


def extend(
    chords: Sequence[Chord], probability: float, rng: np.random.Generator
) -> tuple[Chord, ...]:
    """Add a sixth, seventh or ninth to some of the triads.

    The same triad has the same addition everywhere, because players keep to their
    grips.

    Args:
        chords: chords of the score, in order.
        probability: probability that a triad has an addition.
        rng: source of the choices.

    Returns:
        As many chords in the same places.
    """
    added: dict[tuple[int, bool], int | None] = {}
    for chord in chords:
        if (chord.root, chord.minor) not in added:
            usual = MINOR_ADDED if chord.minor else MAJOR_ADDED
            added[chord.root, chord.minor] = (
                int(rng.choice(usual)) if rng.random() < probability else None
            )
    return tuple(
        replace(chord, added=added[chord.root, chord.minor]) for chord in chords
    )


def _durations(
    notes: Iterable[Note], spans: Sequence[tuple[float, float]], accent: float = 1.0
) -> np.ndarray:
    """Return how long each pitch class sounds in each span, (spans, 12).

    Args:
        notes: notes in any order.
        spans: start and end, in order.
        accent: factor of notes that begin with a span.
    """
    durations = np.zeros((len(spans), 12))
    starts = np.array([start for start, _ in spans])
    for note in notes:
        first = max(0, int(np.searchsorted(starts, note.onset, side="right")) - 1)
        for i in range(first, len(spans)):
            start, end = spans[i]
            if start >= note.onset + note.duration:
                break
            length = min(end, note.onset + note.duration) - max(start, note.onset)
            factor = accent if abs(note.onset - start) < 1e-3 else 1.0
            durations[i, note.pitch % 12] += factor * max(length, 0.0)
    return durations


def _spans(bars: Sequence[float]) -> list[tuple[float, float]]:
    spans = []
    for start, end in pairwise(bars):
        if end - start >= 4.0:
            middle = (start + end) / 2
            spans += [(start, middle), (middle, end)]
        else:
            spans.append((start, end))
    return spans


def _best_path(emission: np.ndarray, transition: np.ndarray) -> list[int]:
    """Viterbi path; `emission` is (steps, states), `transition` (from, to)."""
    best = emission[0]
    back = np.zeros(emission.shape, dtype=int)
    for t in range(1, len(emission)):
        total = best[:, None] + transition
        back[t] = total.argmax(axis=0)
        best = total.max(axis=0) + emission[t]
    path = [int(best.argmax())]
    for t in range(len(emission) - 1, 0, -1):
        path.append(int(back[t, path[-1]]))
    return path[::-1]
