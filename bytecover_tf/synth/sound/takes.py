"""Another take of a passage: in another key and tempo, begun elsewhere, with a cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bytecover_tf.synth.sound.sound_effects import SAMPLE_RATE

# How far versions begin and end apart, as a share of the passage.
RAGGED = 0.15
SEMITONES, TEMPO = 6, (0.65, 1.5)
# Versions that are played at another speed, so that key and tempo change together.
SPEED_CHANGED, SPEED = 0.2, (0.85, 1.18)
# Versions from which a part was cut, and the largest part of the passage.
CUT, LARGEST_CUT = 0.3, 0.3
FADE_SECONDS = 0.05


@dataclass(frozen=True)
class Take:
    """How a version differs from the passage that it is made of.

    Attributes:
        start: where it begins, as a share of the passage.
        stop: where it ends, likewise.
        cut: share of what is between that is left out, in its middle.
        semitones: number of semitones by which it is higher.
        tempo: how many times as fast.
    """

    start: float = 0.0
    stop: float = 1.0
    cut: float = 0.0
    semitones: float = 0.0
    tempo: float = 1.0


def draw_take(rng: np.random.Generator) -> Take:
    """Draw how another take plays the passage."""
    tempo = float(np.exp(rng.uniform(*np.log(TEMPO))))
    if rng.random() < SPEED_CHANGED:
        tempo = float(np.clip(tempo, *SPEED))
        semitones = 12 * float(np.log2(tempo))
    else:
        semitones = float(rng.integers(-SEMITONES, SEMITONES + 1) + rng.normal(0, 0.1))
    return Take(
        start=float(rng.uniform(0.0, RAGGED)),
        stop=float(rng.uniform(1 - RAGGED, 1.0)),
        cut=float(rng.uniform(0.1, LARGEST_CUT)) if rng.random() < CUT else 0.0,
        semitones=semitones,
        tempo=tempo,
    )


def play(passage: np.ndarray, take: Take) -> np.ndarray:
    """Return a passage as another take of it.

    Args:
        passage: mono at 22 050 Hz, float32 of shape (samples,).
        take: how it differs.

    Returns:
        float32 of shape (samples / tempo,), but for what was left out.
    """
    from pedalboard import time_stretch

    kept = passage[round(take.start * len(passage)) : round(take.stop * len(passage))]
    if take.cut:
        half = round(len(kept) * (1 - take.cut) / 2)
        kept = _joined(kept[:half], kept[len(kept) - half :])
    # The faster of Rubber Band's two ways; "crisp" would be out of tune by up to a
    # third of a semitone.
    stretched = time_stretch(
        kept,
        SAMPLE_RATE,
        take.tempo,
        take.semitones,
        high_quality=False,
        transient_mode="mixed",
    )
    return stretched[0]


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return two sounds in turn, one faded into the other."""
    length = round(FADE_SECONDS * SAMPLE_RATE)
    fade = np.linspace(0, 1, length, dtype=np.float32)
    across = first[-length:] * (1 - fade) + second[:length] * fade
    return np.concatenate([first[:-length], across, second[length:]])
