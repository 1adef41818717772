"""Draw the features of a performance, without rendering any sound.

What each player sounds like is drawn at random (`synth.drawing.players`); notes and
drums add up as energies in constant-Q bins, and `synth.drawing.bin_effects` makes a
recording of the sum. That takes a few hundredths of a second, while rendering and
transforming audio takes a second, so thousands of works take minutes. It is an
approximation: phases, attacks and the long windows of the low bins are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import DataError
from bytecover_tf.synth.drawing.bin_effects import record_energy
from bytecover_tf.synth.drawing.players import ELECTRIC, OVERDRIVEN, overdrive, play
from bytecover_tf.synth.playing.performance import Part, Performance

# Frames of the transform in one step of the drawing, about a tenth of a second.
STEP_FRAMES = 5


def draw_features(
    performance: Performance,
    frontend: Frontend,
    rng: np.random.Generator,
    lead_in: float = 0.0,
) -> np.ndarray:
    """Draw pooled features of a performance, as of one of many recordings of it.

    Args:
        performance: what is played.
        frontend: its `pool` must be a multiple of 5.
        rng: source of the instruments, the room, the equaliser and the noise.
        lead_in: seconds of near-silence before the performance.

    Returns:
        float32 array (n_bins, T), as `Frontend.features` returns it for audio.

    Raises:
        ConfigError: the frontend's `pool` does not fit.
        DataError: the performance has no notes.
    """
    if not any(part.notes for part in performance.parts):
        raise DataError("a performance without notes has no features")
    step = STEP_FRAMES * frontend.hop_length / frontend.sample_rate
    lead_out = rng.uniform(0.0, 2.0)
    steps = math.ceil((lead_in + performance.duration + lead_out) / step)
    # Old and amateur recordings are further out of tune than players.
    cents = performance.cents + float(np.clip(rng.normal(0.0, 15.0), -40.0, 40.0))
    energy = np.zeros((frontend.n_bins, steps))
    for part in performance.parts:
        if part.notes:
            energy += _draw_part(part, cents, lead_in, step, steps, frontend, rng)
    energy = record_energy(energy, step, frontend, rng)
    return frontend.from_cqt(np.sqrt(energy).astype(np.float32), STEP_FRAMES, "drawn")


def draw_with_score(
    performance: Performance, frontend: Frontend, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a performance that begins within two seconds, and its score.

    Args:
        performance: what is played.
        frontend: parameters of the features.
        rng: source of all random choices.

    Returns:
        Features (n_bins, T) and score (2, n_bins, T), see `draw_features` and
        `draw_score`.
    """
    lead_in = float(rng.uniform(0.0, 2.0))
    features = draw_features(performance, frontend, rng, lead_in)
    return features, draw_score(performance, frontend, lead_in, features.shape[1])


def draw_score(
    performance: Performance, frontend: Frontend, lead_in: float, frames: int
) -> np.ndarray:
    """Return what is played in each frame of `draw_features`.

    Args:
        performance: what is played.
        frontend: parameters of the features.
        lead_in: the same as there.
        frames: their number.

    Returns:
        float32 (2, n_bins, frames) in 0 to 1: the share of the frame in which each
        pitch sounds in the melody, and in any part but the drums.
    """
    melody = [part for part in performance.parts if part.role == "melody"]
    pitched = [part for part in performance.parts if part.role != "drums"]
    return np.stack(
        [_roll(parts, frontend, lead_in, frames) for parts in (melody, pitched)]
    )


def _roll(
    parts: Sequence[Part], frontend: Frontend, lead_in: float, frames: int
) -> np.ndarray:
    roll = np.zeros((frontend.n_bins, frames), np.float32)
    notes = [note for part in parts for note in part.notes]
    seconds = frontend.pool * frontend.hop_length / frontend.sample_rate
    lowest = 69 + 12 * np.log2(frontend.fmin / 440)
    pitches = np.array([note.pitch for note in notes], dtype=float)
    bins = np.rint((pitches - lowest) * frontend.bins_per_octave / 12).astype(int)
    starts = (np.array([note.start for note in notes]) + lead_in) / seconds
    ends = starts + np.array([note.duration for note in notes]) / seconds
    inside = (bins >= 0) & (bins < frontend.n_bins)
    bins, starts, ends = bins[inside], starts[inside], ends[inside]
    note, at, shares = _covered(starts, ends, frames)
    np.add.at(roll, (bins[note], at), shares)
    return np.minimum(roll, 1.0)


def _draw_part(
    part: Part,
    cents: float,
    lead_in: float,
    step: float,
    steps: int,
    frontend: Frontend,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the energy (n_bins, steps) of one player."""
    sounds = play(part, cents, frontend, rng)
    starts = sounds.starts + lead_in
    ends = starts + sounds.lengths
    # Each sound's energy in each step: the share of the step that it fills, after
    # decay.
    sound, at, shares = _covered(starts / step, ends / step, steps)
    since = np.maximum(at * step - starts[sound], 0.0)
    kinds = sounds.kinds[sound]
    faded = np.exp(-2 * since / sounds.decays[kinds])
    sounding = np.zeros((len(sounds.spectra), steps))
    np.add.at(sounding, (kinds, at), sounds.energies[sound] * shares * faded)
    energy = sounds.spectra.T @ sounding
    if part.role in ELECTRIC and rng.random() < OVERDRIVEN:
        energy = overdrive(energy, rng)
    return energy


def _covered(
    starts: np.ndarray, ends: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each pair of a span and a step that it touches, and the share it fills."""
    first = np.clip(starts.astype(int), 0, steps)
    counts = np.maximum(np.minimum(ends.astype(int) + 1, steps) - first, 0)
    span = np.repeat(np.arange(len(starts)), counts)
    within = np.arange(len(span)) - np.repeat(np.cumsum(counts) - counts, counts)
    at = first[span] + within
    shares = np.minimum(ends[span], at + 1) - np.maximum(starts[span], at)
    return span, at, np.maximum(shares, 0.0)
