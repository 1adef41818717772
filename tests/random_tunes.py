"""Scores and performances for tests."""

import numpy as np

from bytecover_tf.synth.playing.performance import Part, Performance, PlayedNote
from bytecover_tf.synth.scores.note import Note
from bytecover_tf.synth.scores.score import make_score


def tune(number, title=None, bars=32, collection="Aird's Airs"):
    steps = np.random.default_rng(number).choice([-5, -3, -2, -1, 1, 2, 3, 4], 4 * bars)
    pitches = 66 + np.cumsum(steps) % 19
    notes = [Note(float(i), 1.0, int(p)) for i, p in enumerate(pitches)]
    lines = [4.0 * i for i in range(bars + 1)]
    return make_score(title or f"Tune {number}", collection, notes, lines)


def performance(pitches, length=2.5, role="melody"):
    notes = tuple(
        PlayedNote(i * length, length, pitch, 100) for i, pitch in enumerate(pitches)
    )
    end = len(pitches) * length
    return Performance((Part(role, 0, notes),), ((0, 0.0),), end, 0.0)
