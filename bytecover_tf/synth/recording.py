"""What lies between the players and the file: room, microphone, medium."""

import numpy as np
from scipy import signal

SAMPLE_RATE = 22050
PEAK = 0.9


def record(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Send samples through a recording chain drawn at random.

    A room (exponentially decaying noise as impulse response), band limits from
    studio to gramophone, mild saturation, and noise at 30 dB or more below the
    signal.

    Args:
        samples: mono at 22 050 Hz, shape (samples,), not silent.
        rng: source of all randomness.

    Returns:
        float32 of the same shape, with a peak of 0.9.
    """
    sound = samples / max(float(np.abs(samples).max()), 1e-9)
    if rng.random() < 0.7:
        sound = _reverberate(sound, rng)
    sound = _limit_band(sound, rng)
    if rng.random() < 0.4:
        drive = rng.uniform(1.0, 3.0)
        sound = np.tanh(drive * sound) / np.tanh(drive)
    sound = _add_noise(sound, rng)
    return (PEAK * sound / np.abs(sound).max()).astype(np.float32)


def _reverberate(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    decay = rng.uniform(0.2, 1.6)
    wet = rng.uniform(0.05, 0.35)
    time = np.arange(int(decay * SAMPLE_RATE)) / SAMPLE_RATE
    # A reverberation time is that of a fall by 60 dB.
    response = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay)
    response /= np.sqrt(np.sum(response**2))
    tail = signal.fftconvolve(sound, response)[: len(sound)]
    return (1 - wet) * sound + wet * tail


def _limit_band(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low = np.exp(rng.uniform(np.log(25.0), np.log(150.0)))
    high = np.exp(rng.uniform(np.log(4000.0), np.log(10000.0)))
    sections = signal.butter(
        2, [low, high], btype="bandpass", fs=SAMPLE_RATE, output="sos"
    )
    return signal.sosfilt(sections, sound)


def _add_noise(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    level = 10 ** (rng.uniform(-65.0, -30.0) / 20) * np.sqrt(np.mean(sound**2))
    return sound + level * rng.standard_normal(len(sound))
