"""The choices in which versions of a score differ, drawn at random.

These are the key, the tempo and its freedom, the swing, the instruments, the melody's
octave and doubling, the accompaniment and its rests, the order and number of sections,
an introduction, ornaments and simplification, the melody's freedom of the beat, and the
tuning.
"""

from dataclasses import dataclass

import numpy as np

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
WRITTEN_SHARE = 0.45
REFERENCE_DENSITY = 3.0
TEMPO_RANGE = (50.0, 150.0)


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
