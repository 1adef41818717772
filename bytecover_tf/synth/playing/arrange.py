"""Arrange a score as one of many performances, as players of covers do.

Versions differ in key, tempo and its freedom, swing, instruments, the melody's octave
and doubling, the accompaniment and its rests, the order and number of sections, an
introduction and an ending, ornaments and simplification, the melody's freedom of the
beat, and the tuning. The melody always stays audible.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bytecover_tf.synth.playing.accompany import GROOVES, PATTERNS, groove
from bytecover_tf.synth.scores.harmony import Chord, extend, reharmonise
from bytecover_tf.synth.scores.note import Note
from bytecover_tf.synth.scores.score import Score

# General MIDI programs (from 0) with the range in which they carry a melody.
LEADS = {
    0: (55, 88),  # piano
    4: (52, 84),  # electric piano
    6: (55, 84),  # harpsichord
    11: (55, 86),  # vibraphone
    16: (52, 84),  # organ
    21: (55, 84),  # accordion
    22: (60, 86),  # harmonica
    24: (48, 76),  # nylon guitar
    25: (48, 76),  # steel guitar
    26: (46, 76),  # jazz guitar
    40: (57, 88),  # violin
    42: (43, 69),  # cello
    48: (50, 84),  # strings
    52: (50, 76),  # choir
    53: (50, 76),  # voice
    56: (55, 79),  # trumpet
    60: (46, 72),  # horn
    65: (52, 77),  # alto saxophone
    68: (59, 84),  # oboe
    71: (52, 82),  # clarinet
    73: (60, 91),  # flute
    74: (62, 91),  # recorder
    80: (52, 84),  # square lead
    105: (50, 79),  # banjo
    110: (57, 86),  # fiddle
}
KEYBOARDS = (0, 0, 1, 4, 6, 16, 21)
PLUCKED = (24, 25, 26, 46, 105)
PADS = (16, 48, 49, 50, 52, 89)
BASSES = (32, 33, 34, 35, 43, 58)
ENSEMBLES = ((0,), (0,), (24,), (48,), (16,), (42, 41, 71), (43, 42, 40))

# Accompaniments with their weights; each layer is (pattern, programs).
Layers = tuple[tuple[str, tuple[int, ...]], ...]
ACCOMPANIMENTS: tuple[tuple[float, Layers], ...] = (
    (1.0, ()),
    (1.5, (("block", KEYBOARDS), ("bass", (0, 32)))),
    (1.5, (("arpeggio", KEYBOARDS + PLUCKED), ("bass", (0, 32)))),
    (1.5, (("oom_pah", KEYBOARDS + PLUCKED),)),
    (1.0, (("strum", PLUCKED[:3]),)),
    (1.5, (("strum", PLUCKED[:3]), ("bass", BASSES), ("drums", (0,)))),
    (1.5, (("block", KEYBOARDS), ("bass", BASSES), ("drums", (0,)))),
    (1.0, (("pad", PADS), ("bass", BASSES))),
    (1.0, (("pad", PADS), ("arpeggio", KEYBOARDS + PLUCKED))),
    (0.7, (("bass", BASSES), ("drums", (0,)))),
)
# Held chords cover the melody sooner than struck ones.
VELOCITIES = {"pad": 42, "bass": 54, "drums": 50}
WRITTEN_SHARE = 0.45
REFERENCE_DENSITY = 3.0
TEMPO_RANGE = (50.0, 150.0)
GAP, SHORTEST_NOTE = 1e-3, 0.02


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


@dataclass(frozen=True)
class Style:
    """The choices that make one version.

    Attributes:
        key_shift: semitones, -6 to 6.
        tempo: quarter notes per minute.
        order: sections of the score in the order played.
        lead: program that has the melody.
        octave: octaves by which the melody is moved, before the key shift.
        doubling: program that doubles the melody, and octaves above it.
        layers: (pattern, program) of each accompanying part.
        written: programs that play the score's own accompaniment; layers are
            empty then.
        intro_bars: bars of accompaniment before the first section.
        swing: share of a half beat by which off-beats are late.
        rubato: relative depth of the tempo's wandering.
        jitter: standard deviation of onsets in seconds.
        ornaments: probability that a long note gets a grace note.
        simplify: probability that a short off-beat note is left out.
        reharmonise: probability that a chord gives way to a related one.
        extended: probability that a triad has a sixth, seventh or ninth.
        groove: what the drums play, or nothing for the pattern of that name.
        rests: probability that an accompanying player is silent in a section.
        freedom: beats by which the melody wanders from the accompaniment, as a
            standard deviation.
        cents: tuning above concert pitch.
    """

    key_shift: int = 0
    tempo: float = 100.0
    order: tuple[int, ...] = (0,)
    lead: int = 0
    octave: int = 0
    doubling: tuple[int, int] | None = None
    layers: tuple[tuple[str, int], ...] = ()
    written: tuple[int, ...] = ()
    intro_bars: int = 0
    swing: float = 0.0
    rubato: float = 0.0
    jitter: float = 0.0
    ornaments: float = 0.0
    simplify: float = 0.0
    reharmonise: float = 0.0
    extended: float = 0.0
    groove: str = ""
    rests: float = 0.0
    freedom: float = 0.0
    cents: float = 0.0


@dataclass
class _Line:
    """The score laid out in playing order, in beats from the start."""

    melody: list[Note] = field(default_factory=list)
    parts: list[list[Note]] = field(default_factory=list)
    chords: list[Chord] = field(default_factory=list)
    bars: list[float] = field(default_factory=lambda: [0.0])
    sections: list[tuple[int, float]] = field(default_factory=list)


def draw_style(
    score: Score, rng: np.random.Generator, seconds: tuple[float, float] = (50.0, 100.0)
) -> Style:
    """Draw the choices for one version.

    Args:
        score: what is to be played.
        rng: source of all random choices.
        seconds: range of the intended length. Whole sections are played, so
            the true length differs by up to half a section.

    Returns:
        The style. Equal generators give equal styles.
    """
    # Most covers stay near the original: a third keeps the key.
    factor = np.clip(np.exp(rng.normal(0.0, 0.2)), 0.6, 1.6)
    tempo = float(np.clip(usual_tempo(score) * factor, *TEMPO_RANGE))
    key_shift = 0
    if rng.random() > 0.3:
        key_shift = int(np.clip(np.rint(rng.normal(0.0, 2.5)), -6, 6))
    lead = int(rng.choice(list(LEADS)))
    doubling = None
    if rng.random() < 0.25:
        doubling = (int(rng.choice(list(LEADS))), int(rng.choice([-1, 0, 1])))
    layers: tuple[tuple[str, int], ...] = ()
    written: tuple[int, ...] = ()
    if score.parts and rng.random() < WRITTEN_SHARE:
        written = ENSEMBLES[rng.integers(len(ENSEMBLES))]
    else:
        weights = np.array([weight for weight, _ in ACCOMPANIMENTS])
        choice = int(rng.choice(len(weights), p=weights / weights.sum()))
        layers = tuple(
            (pattern, int(rng.choice(programs)))
            for pattern, programs in ACCOMPANIMENTS[choice][1]
        )
    swings = score.beat == 1.0 and rng.random() < 0.2
    harmony = bool(layers) and any(p not in ("drums", "bass") for p, _ in layers)
    return Style(
        key_shift=key_shift,
        tempo=tempo,
        order=_draw_order(score, tempo, rng, seconds),
        lead=lead,
        octave=_draw_octave(score, lead, key_shift, rng),
        doubling=doubling,
        layers=layers,
        written=written,
        intro_bars=int(rng.choice([0, 2, 4])) if harmony else 0,
        swing=float(rng.uniform(0.15, 0.33)) if swings else 0.0,
        rubato=float(rng.uniform(0.0, 0.06)),
        jitter=float(rng.uniform(0.0, 0.015)),
        ornaments=float(rng.uniform(0.0, 0.15)) if rng.random() < 0.4 else 0.0,
        simplify=float(rng.uniform(0.1, 0.4)) if rng.random() < 0.3 else 0.0,
        cents=float(np.clip(rng.normal(0.0, 10.0), -30.0, 30.0)),
    )


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


def usual_tempo(score: Score) -> float:
    """Quarter notes per minute at which the melody has 3 notes a second."""
    sung = sum(score.bars[b] - score.bars[a] for a, b in score.sections)
    return float(np.clip(60 * REFERENCE_DENSITY * sung / len(score.melody), 60, 130))


def _draw_order(
    score: Score,
    tempo: float,
    rng: np.random.Generator,
    seconds: tuple[float, float],
) -> tuple[int, ...]:
    """Sections to play: as written, doubled, cut or rotated, until it is long."""
    count = len(score.sections)
    once = list(range(count))
    if count > 2 and rng.random() < 0.2:
        once.pop(int(rng.integers(count)))
    if count > 1 and rng.random() < 0.2:
        turn = int(rng.integers(1, len(once)))
        once = once[turn:] + once[:turn]
    if count <= 4 and rng.random() < 0.6:
        once = [section for section in once for _ in range(2)]
    target = rng.uniform(*seconds)
    lengths = [(score.bars[b] - score.bars[a]) * 60 / tempo for a, b in score.sections]
    order: list[int] = []
    played = 0.0
    while True:
        section = once[len(order) % len(once)]
        if order and played + lengths[section] / 2 > target:
            return tuple(order)
        order.append(section)
        played += lengths[section]


def _draw_octave(
    score: Score, lead: int, key_shift: int, rng: np.random.Generator
) -> int:
    """An octave that puts the melody into the instrument's range."""
    pitches = np.array([note.pitch for note in score.melody]) + key_shift
    low, high = LEADS[lead]
    outside = {
        octave: int(np.sum(pitches + 12 * octave < low))
        + int(np.sum(pitches + 12 * octave > high))
        for octave in range(-3, 4)
    }
    fewest = min(outside.values())
    fitting = [o for o, n in outside.items() if n <= fewest + 0.02 * len(pitches)]
    return int(rng.choice(fitting))


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
