"""Effects on drawn features: a room, a crowd, loudness, a medium.

This is the counterpart of `synth.sound.sound_effects`: it changes energies in
constant-Q bins and steps of time, not samples.
"""

from __future__ import annotations

import numpy as np

from bytecover_tf.audio.frontend import Frontend

# The smaller this is, the more partials that share a bin strengthen and cancel each
# other.
BEATING = 2.5
# Below the loudest bin of all, in decibels.
NOISE_RANGE = (-62.0, -34.0)
# How many decibels noise may lose per bin; it is strongest at the bottom.
NOISE_SLOPE = 0.25
# Shares of the recordings that have an effect, and its decibels below the loudest bin.
CROWDED, CROWD_RANGE = 0.15, (-38.0, -16.0)
COMPRESSED = 0.5
WORN, RUMBLE_RANGE, CRACKLE_RANGE = 0.15, (-30.0, -8.0), (-42.0, -18.0)


def record_energy(
    energy: np.ndarray, step: float, frontend: Frontend, rng: np.random.Generator
) -> np.ndarray:
    """Return the energy of a recording.

    Args:
        energy: what is played, (n_bins, steps).
        step: its length in seconds.
        frontend: whose bins they are.
        rng: source of all random choices.
    """
    energy = _reverberate(energy, step, rng)
    energy *= 10 ** (_dynamics(energy.shape[1] * step, energy.shape[1], rng) / 10)
    # The beating of partials that share a bin.
    energy *= rng.gamma(BEATING, 1 / BEATING, energy.shape)
    if rng.random() < CROWDED:
        energy += _crowd(energy, step, frontend, rng)
    if rng.random() < COMPRESSED:
        energy *= 10 ** (_compression(energy, rng) / 10)
    energy += _noise(energy, rng)
    if rng.random() < WORN:
        energy += _record_player(energy, step, frontend, rng)
    return energy * 10 ** (_equaliser(energy.shape[0], rng) / 10)[:, None]


def _reverberate(
    energy: np.ndarray, step: float, rng: np.random.Generator
) -> np.ndarray:
    from scipy import signal

    seconds = rng.uniform(0.2, 2.5)  # until it has fallen by 60 dB
    wet = rng.uniform(0.0, 0.5)
    kept = 10 ** (-6 * step / seconds)
    tail = signal.lfilter([1 - kept], [1, -kept], energy, axis=1)
    return (1 - wet) * energy + wet * tail


def _dynamics(seconds: float, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Return decibels for each step: players grow louder and softer."""
    knots = max(round(seconds / 8), 2)
    return np.interp(np.arange(steps), *curve(steps, knots, 4.0, rng))


def _crowd(
    energy: np.ndarray, step: float, frontend: Frontend, rng: np.random.Generator
) -> np.ndarray:
    """Return the energy of an audience: voices that swell, applause at the end."""
    bins, steps = energy.shape
    semitones = np.arange(bins) * 12 / frontend.bins_per_octave
    middle = 12 * np.log2(rng.uniform(400.0, 1500.0) / frontend.fmin)
    voices = np.exp(-(((semitones - middle) / rng.uniform(12.0, 24.0)) ** 2))
    knots = max(round(steps * step / 4), 2)
    swell = np.interp(np.arange(steps), *curve(steps, knots, 4.0, rng))
    left = (steps - np.arange(steps)) * step
    swell += rng.uniform(0.0, 15.0) * np.clip(1 - left / rng.uniform(2.0, 8.0), 0, 1)
    level = energy.max() * 10 ** ((rng.uniform(*CROWD_RANGE) + swell) / 10)
    return voices[:, None] * level * rng.gamma(2.0, 0.5, energy.shape)


def _compression(energy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return decibels for each step that bring soft and loud closer together."""
    level = 10 * np.log10(energy.sum(axis=0) + 1e-9 * energy.max())
    usual = np.median(level)
    return rng.uniform(0.2, 0.8) * np.clip(usual - level, -20.0, 20.0)


def _record_player(
    energy: np.ndarray, step: float, frontend: Frontend, rng: np.random.Generator
) -> np.ndarray:
    """Return the energy of a worn record: its bearing's rumble, dust in the groove."""
    bins, steps = energy.shape
    octaves = np.arange(bins) / frontend.bins_per_octave
    rumble = rng.uniform(*RUMBLE_RANGE) - rng.uniform(12.0, 36.0) * octaves
    # A click has as much energy at every hertz, and high bins are wider.
    click = rng.uniform(*CRACKLE_RANGE) + 3.0 * (octaves - octaves[-1])
    clicks = rng.poisson(rng.uniform(0.3, 6.0) * step, steps)
    worn = 10 ** (rumble / 10)[:, None] * rng.gamma(4.0, 0.25, energy.shape)
    worn += 10 ** (click / 10)[:, None] * clicks * rng.gamma(2.0, 0.5, steps)
    return energy.max() * worn


def _noise(energy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    bins, steps = energy.shape
    level = rng.uniform(*NOISE_RANGE) + np.interp(
        np.arange(bins), *curve(bins, 5, 6.0, rng)
    )
    level -= rng.uniform(0.0, NOISE_SLOPE) * (np.arange(bins) - bins / 2)
    floor = energy.max() * 10 ** (level / 10)
    return floor[:, None] * rng.gamma(4.0, 0.25, (bins, steps))


def _equaliser(bins: int, rng: np.random.Generator) -> np.ndarray:
    """Return decibels for each bin: a wavy response within band limits."""
    at = np.arange(bins)
    decibels = np.interp(at, *curve(bins, 8, 6.0, rng))
    high = rng.uniform(bins - 40, bins)
    if rng.random() < 0.5:
        low = rng.uniform(0, 18)
        decibels -= np.maximum(low - at, 0) * rng.uniform(0.3, 2.0)
    return decibels - np.maximum(at - high, 0) * rng.uniform(0.3, 2.0)


def curve(
    bins: int, knots: int, decibels: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return places and heights of a random curve's knots, for `numpy.interp`."""
    return np.linspace(0, bins - 1, knots), rng.normal(0.0, decibels, knots)
