"""Plays a score in a style, as players of covers do. The melody stays audible."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bytecover_tf.synth.playing.accompany import GROOVES, PATTERNS, groove
from bytecover_tf.synth.playing.performance import Part, Performance, PlayedNote
from bytecover_tf.synth.playing.style import Style
from bytecover_tf.synth.scores.harmony import Chord, extend, reharmonise
from bytecover_tf.synth.scores.note import Note
from bytecover_tf.synth.scores.score import Score

# Held chords cover the melody sooner than struck ones.
VELOCITIES = {"pad": 42, "bass": 54, "drums": 50}
GAP, SHORTEST_NOTE = 1e-3, 0.02


@dataclass
class _Line:
    """The score laid out in playing order, in beats from the start."""

    melody: list[Note] = field(default_factory=list)
    parts: list[list[Note]] = field(default_factory=list)
    chords: list[Chord] = field(default_factory=list)
    bars: list[float] = field(default_factory=lambda: [0.0])
    sections: list[tuple[int, float]] = field(default_factory=list)


def arrange(score: Score, style: Style, rng: np.random.Generator) -> Performance:
    """Play a score in a style.

    Args:
        score: what is played.
        style: how; its sections must exist in the score.
        rng: source of the timing, the dynamics and the ornaments.

    Returns:
        The performance. Equal arguments give equal performances.
    """
    if style.reharmonise:
        # Change the chords of the score, so that a repeated section has the same
        # chords.
        chords = reharmonise(score.chords, score.melody, style.reharmonise, rng)
        score = replace(score, chords=chords)
    if style.extended:
        score = replace(score, chords=extend(score.chords, style.extended, rng))
    line = _lay_out(score, style)
    melody = _simplify(line.melody, score.beat, style.simplify, rng)
    melody = _ornament(melody, score, style.ornaments, rng)
    if style.freedom:
        melody = _wander(melody, line.bars, style.freedom, score.beat, rng)
    shift = style.key_shift
    lines = [("melody", style.lead, _moved(melody, shift + 12 * style.octave), 100)]
    if style.doubling:
        program, octave = style.doubling
        doubled = _moved(melody, shift + 12 * (style.octave + octave))
        lines.append(("doubling", program, doubled, 68))
    others = []
    for pattern, program in style.layers:
        if pattern == "drums" and style.groove:
            notes = groove(line.chords, score.beat, GROOVES[style.groove])
        else:
            notes = PATTERNS[pattern](line.chords, score.beat)
        if pattern != "drums":
            notes = _moved(notes, shift)
        others.append((pattern, program, notes, VELOCITIES.get(pattern, 54)))
    if style.written:
        for i, notes in enumerate(line.parts):
            program = style.written[i % len(style.written)]
            others.append(("written", program, _moved(notes, shift), 56))
    if style.rests:
        others = [
            (role, program, _rest(notes, line.sections, style.rests, rng), velocity)
            for role, program, notes, velocity in others
        ]

    clock = _Clock(line.bars, score.beat, style, rng)
    order, starts = zip(*line.sections, strict=True)
    parts = tuple(
        Part(role, program, _play(notes, velocity, clock, style, score.beat, rng))
        for role, program, notes, velocity in [*lines, *others]
    )
    return Performance(
        parts=parts,
        sections=tuple(zip(order, clock(starts).tolist(), strict=True)),
        duration=max(n.start + n.duration for part in parts for n in part.notes),
        cents=style.cents,
    )


def _lay_out(score: Score, style: Style) -> _Line:
    line = _Line(parts=[[] for _ in score.parts])
    if style.intro_bars:
        start = score.sections[style.order[0]][0]
        stop = min(start + style.intro_bars, len(score.bars) - 1)
        _append(line, score, (start, stop), melody=False)
    for index in style.order:
        line.sections.append((index, line.bars[-1]))
        _append(line, score, score.sections[index], melody=True)
    return line


def _append(line: _Line, score: Score, bars: tuple[int, int], *, melody: bool) -> None:
    start, end = score.bars[bars[0]], score.bars[bars[1]]
    shift = line.bars[-1] - start

    def cut(notes: Sequence[Note]) -> list[Note]:
        return [
            Note(n.onset + shift, min(n.end, end) - n.onset, n.pitch)
            for n in notes
            if start <= n.onset < end
        ]

    if melody:
        line.melody += cut(score.melody)
    for own, part in zip(line.parts, score.parts, strict=True):
        own += cut(part)
    line.chords += [
        replace(chord, onset=chord.onset + shift)
        for chord in score.chords
        if start <= chord.onset < end
    ]
    line.bars += [bar + shift for bar in score.bars[bars[0] + 1 : bars[1] + 1]]


def _simplify(
    melody: list[Note], beat: float, probability: float, rng: np.random.Generator
) -> list[Note]:
    """Let the note before a short off-beat note last through it, now and then."""
    kept: list[Note] = []
    for note in melody:
        on_beat = abs(note.onset / beat - round(note.onset / beat)) < 1e-3
        short = note.duration <= beat / 2
        if kept and short and not on_beat and rng.random() < probability:
            last = kept[-1]
            kept[-1] = replace(last, duration=note.end - last.onset)
        else:
            kept.append(note)
    return kept


def _ornament(
    melody: list[Note], score: Score, probability: float, rng: np.random.Generator
) -> list[Note]:
    """Put a grace note of the key above some long notes."""
    steps = (0, 2, 3, 5, 7, 8, 10) if score.minor else (0, 2, 4, 5, 7, 9, 11)
    scale = {(score.tonic + step) % 12 for step in steps}
    played: list[Note] = []
    for note in melody:
        if note.duration >= score.beat and rng.random() < probability:
            above = next(p for p in (1, 2, 3) if (note.pitch + p) % 12 in scale)
            grace = 0.125 * score.beat
            played.append(Note(note.onset, grace, note.pitch + above))
            note = Note(note.onset + grace, note.duration - grace, note.pitch)
        played.append(note)
    return played


def _wander(
    melody: list[Note],
    bars: Sequence[float],
    freedom: float,
    beat: float,
    rng: np.random.Generator,
) -> list[Note]:
    """Let the melody come early and late, more slowly than notes follow."""
    late = np.clip(rng.normal(0.0, freedom, len(bars)), -0.4, 0.4) * beat
    onsets = np.array([note.onset for note in melody])
    onsets = np.maximum(0.0, onsets + np.interp(onsets, bars, late))
    return [
        Note(onset, note.duration, note.pitch)
        for note, onset in zip(melody, onsets.tolist(), strict=True)
    ]


def _rest(
    notes: Sequence[Note],
    sections: Sequence[tuple[int, float]],
    probability: float,
    rng: np.random.Generator,
) -> list[Note]:
    """Leave out the notes of some of the sections played."""
    silent = np.append(False, rng.random(len(sections)) < probability)
    starts = [start for _, start in sections]
    section = np.searchsorted(starts, [note.onset for note in notes], "right")
    return [note for note, out in zip(notes, silent[section], strict=True) if not out]


def _moved(notes: Sequence[Note], semitones: int) -> list[Note]:
    return [Note(note.onset, note.duration, note.pitch + semitones) for note in notes]


class _Clock:
    """Maps beats to seconds: tempo, its wandering, a slower ending, swing."""

    def __init__(
        self,
        bars: Sequence[float],
        beat: float,
        style: Style,
        rng: np.random.Generator,
    ) -> None:
        self.beats = np.asarray(bars, dtype=float)
        wander = np.cumsum(rng.normal(0.0, 1.0, len(bars) - 1))
        wander = wander - np.linspace(0.0, wander[-1], len(wander))
        wander /= max(1.0, float(np.abs(wander).max()))
        tempo = style.tempo * (1 + style.rubato * wander)
        tempo[-1] *= 1 - 3 * style.rubato
        seconds = np.diff(self.beats) * 60 / tempo
        self.seconds = np.concatenate([[0.0], np.cumsum(seconds)])
        self.beat, self.swing = beat, style.swing

    def __call__(self, onsets: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the seconds at which beats come."""
        beats = np.asarray(onsets, dtype=float)
        if self.swing:
            whole, part = np.divmod(beats, self.beat)
            share = part / self.beat
            middle = 0.5 * (1 + self.swing)
            late = np.interp(share, [0.0, 0.5, 1.0], [0.0, middle, 1.0])
            beats = (whole + late) * self.beat
        return np.interp(beats, self.beats, self.seconds)


def _play(
    notes: Sequence[Note],
    velocity: int,
    clock: _Clock,
    style: Style,
    beat: float,
    rng: np.random.Generator,
) -> tuple[PlayedNote, ...]:
    """Notes in seconds, humanised; a pitch ends before it is struck again."""
    late = rng.normal(0.0, style.jitter, len(notes))
    soft = rng.normal(0.0, 6.0, len(notes))
    onsets = np.array([note.onset for note in notes], dtype=float)
    starts = np.maximum(0.0, clock(onsets) + late).tolist()
    ends = clock([note.end for note in notes]).tolist()
    on_beat = np.abs(onsets / beat - np.rint(onsets / beat)) < 1e-3
    strengths = np.clip(velocity + 6 * on_beat + soft, 20, 120).astype(int).tolist()
    following: dict[int, float] = {}
    played = []
    for i in sorted(range(len(notes)), key=starts.__getitem__, reverse=True):
        pitch, start = notes[i].pitch, starts[i]
        end = min(ends[i], following.get(pitch, np.inf) - GAP)
        if end - start < SHORTEST_NOTE or not 0 < pitch < 128:
            continue
        following[pitch] = start
        played.append(PlayedNote(start, end - start, pitch, strengths[i]))
    return tuple(sorted(played, key=lambda n: (n.start, n.pitch)))
