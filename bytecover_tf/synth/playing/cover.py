"""Versions of works, as varied as covers are.

They differ more than the versions of the embedded set: they have fuller bands, other
chords, grooves, rests and a melody that is free of the beat.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np

from bytecover_tf.synth.playing.accompany import GROOVES
from bytecover_tf.synth.playing.arrange import arrange
from bytecover_tf.synth.playing.performance import Performance
from bytecover_tf.synth.playing.style import Style, draw_style
from bytecover_tf.synth.scores.score import Score
from bytecover_tf.synth.scores.works import Work

# Covers often keep the accompaniment of the version that they cover.
SAME_ARRANGEMENT = 0.4
# Share of the versions with the score's own accompaniment that also have drums.
WITH_DRUMS = 0.3
# Share of the versions with additional players, and what these play: bands and
# orchestras are fuller than the usual arrangements. Their sound is drawn later, so
# their programs do not matter.
FULLER = 0.7
JOINING = ("bass", "pad", "strum", "arpeggio", "block", "drums")
# Share of those versions in which other players also play the melody.
DOUBLED = 0.4
# Share of the versions with other chords, and the largest share of chords changed.
REHARMONISED, OTHER_CHORDS = 0.25, 0.6
# Share of the versions with chords of four notes, and the least share of triads so
# extended.
EXTENDED, FEWEST_EXTENDED = 0.35, 0.3
# Share of the versions in which players rest for sections, and how often they do; share
# of the versions whose melody is free of the beat, and by how many beats.
WITH_RESTS, RESTS = 0.4, (0.1, 0.4)
FREE, FREEDOM = 0.3, (0.02, 0.15)


def cover(work: Work, number: int) -> tuple[Performance, np.random.Generator]:
    """Perform one of a work's versions.

    Args:
        work: its scores take turns.
        number: of the version; the same number gives the same performance.

    Returns:
        The performance, and the generator for the rest of its random choices.
    """
    score = work.scores[number % len(work.scores)]
    rng = _source(score, number)
    style = draw_style(score, rng)
    if score is work.scores[0] and rng.random() < SAME_ARRANGEMENT:
        first = draw_style(score, _source(score, 0))
        style = replace(
            style,
            layers=first.layers,
            written=first.written,
            intro_bars=first.intro_bars,
        )
    style = vary(style, rng)
    return arrange(score, style, rng), rng


def _source(score: Score, number: int) -> np.random.Generator:
    seed = f"{score.title}/{score.collection}/{number}".encode()
    return np.random.default_rng(zlib.crc32(seed))


def vary(style: Style, rng: np.random.Generator) -> Style:
    """Return a style with features that the embedded set's versions do not have."""
    if style.written and rng.random() < WITH_DRUMS:
        style = replace(style, layers=(("drums", 0),))
    if rng.random() < FULLER:
        style = fuller(style, rng)
    if rng.random() < REHARMONISED:
        style = replace(style, reharmonise=float(rng.uniform(0.1, OTHER_CHORDS)))
    style = replace(style, groove=str(rng.choice(["", *GROOVES])))
    if rng.random() < WITH_RESTS:
        style = replace(style, rests=float(rng.uniform(*RESTS)))
    if rng.random() < FREE:
        style = replace(style, freedom=float(rng.uniform(*FREEDOM)))
    if rng.random() < EXTENDED:
        style = replace(style, extended=float(rng.uniform(FEWEST_EXTENDED, 1.0)))
    return style


def fuller(style: Style, rng: np.random.Generator) -> Style:
    """Return a style in which one to three more players join the accompaniment."""
    joining = rng.choice(JOINING, int(rng.integers(1, 4)), replace=False)
    style = replace(style, layers=style.layers + tuple((str(p), 0) for p in joining))
    if rng.random() < DOUBLED:
        style = replace(style, doubling=(0, int(rng.integers(-1, 2))))
    return style
