"""What lies between the players and the file: a room, a crowd, loudness, a medium.

The counterpart of `synth.drawing.bin_effects` for samples in place of energies.
"""

from pathlib import Path

import numpy as np

from bytecover_tf.synth.drawing.bin_effects import COMPRESSED, CROWDED, WORN, curve

SAMPLE_RATE = 22050
PEAK = 0.9
# Shares of the recordings that are coded lossily, and of these by telephone.
CODED, TELEPHONE = 0.5, 0.1
# Under the sound, in decibels: an audience or another background, the rumble and the
# clicks of a record.
BACKGROUND_RANGE = (-30.0, -8.0)
RUMBLE_RANGE, CLICK_RANGE = (-40.0, -15.0), (-20.0, 5.0)


def record(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Send samples through a recording chain drawn at random.

    A room (exponentially decaying noise as impulse response), band limits from
    studio to gramophone, mild saturation, and noise at 30 dB or more below the
    signal.

    Args:
        samples: mono at 22 050 Hz, shape (samples,), not silent.
        rng: source of all random choices.

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
    return _to_peak(sound)


def release(
    samples: np.ndarray,
    rng: np.random.Generator,
    background: np.ndarray | None = None,
) -> np.ndarray:
    """Change a recording as it may be changed before it is heard.

    An audience may be added. The recording is equalised and perhaps compressed; some
    are played from a worn record that turns unevenly, and some are coded lossily.

    Args:
        samples: mono at 22 050 Hz, shape (samples,), not silent.
        rng: source of all random choices.
        background: a sound to lay under it in place of an audience, of any length.

    Returns:
        float32 of the same shape, with a peak of 0.9.
    """
    from pedalboard import Compressor, Pedalboard

    sound = _to_peak(samples)
    if background is not None:
        sound = lay_under(sound, background, rng)
    elif rng.random() < CROWDED:
        sound = lay_under(sound, _audience(len(sound), rng), rng)
    board = _equaliser(rng)
    if rng.random() < COMPRESSED:
        level = 20 * np.log10(_loudness(sound))
        board.append(
            Compressor(
                threshold_db=level + rng.uniform(-10.0, 5.0),
                ratio=rng.uniform(2.0, 8.0),
                attack_ms=rng.uniform(1.0, 30.0),
                release_ms=rng.uniform(50.0, 400.0),
            )
        )
    sound = Pedalboard(board)(sound, SAMPLE_RATE)
    if rng.random() < WORN:
        sound = play_worn(sound, rng)
    if rng.random() < CODED:
        sound = code(_to_peak(sound), rng)
    return _to_peak(sound)


def write_sound(path: Path, samples: np.ndarray) -> None:
    """Write samples at 22 050 Hz, shape (samples,), to listen to.

    Args:
        path: its ending names the format, such as `.flac`.
        samples: within -1 and 1; what is beyond is cut off.
    """
    import soundfile

    soundfile.write(path, samples, SAMPLE_RATE)


def lay_under(
    sound: np.ndarray, background: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return a sound with a background some decibels below it.

    Args:
        sound: shape (samples,).
        background: of any length, not silent; it starts anywhere, and again if it is
            shorter.
        rng: draws where it starts and how loud it is.
    """
    start = int(rng.integers(len(background)))
    under = np.take(background, np.arange(start, start + len(sound)), mode="wrap")
    loudness = max(_loudness(under), 1e-9)
    gain = 10 ** (rng.uniform(*BACKGROUND_RANGE) / 20) * _loudness(sound) / loudness
    return (sound + gain * under).astype(np.float32)


def play_worn(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a sound as from a worn record that turns unevenly."""
    from scipy import signal

    time = np.arange(len(sound)) / SAMPLE_RATE
    # An eccentric hole at 33 or 78 turns a minute, as a share of the speed.
    turns = rng.choice((33.3, 78.0)) / 60
    wow = rng.uniform(0.0005, 0.006)
    at = time + wow / (2 * np.pi * turns) * np.sin(2 * np.pi * turns * time)
    sound = np.interp(at, time, sound)
    low = signal.butter(2, 80.0, fs=SAMPLE_RATE, output="sos")
    rumble = signal.sosfilt(low, rng.standard_normal(len(sound)))
    level = _loudness(sound)
    sound += (
        level * 10 ** (rng.uniform(*RUMBLE_RANGE) / 20) * rumble / _loudness(rumble)
    )
    clicks = rng.integers(len(sound), size=rng.poisson(rng.uniform(0.5, 10) * time[-1]))
    height = level * 10 ** (rng.uniform(*CLICK_RANGE) / 20)
    sound[clicks] += height * rng.standard_normal(len(clicks))
    return sound.astype(np.float32)


def code(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a sound as coded by mp3 at some bit rate or, now and then, by a telephone.

    Args:
        sound: float32 within -1 and 1, shape (samples,).
        rng: draws the codec and its quality.
    """
    from pedalboard import GSMFullRateCompressor, MP3Compressor, Pedalboard

    codec = (
        GSMFullRateCompressor()
        if rng.random() < TELEPHONE
        else MP3Compressor(vbr_quality=rng.uniform(3.0, 9.9))
    )
    return Pedalboard([codec])(sound, SAMPLE_RATE)


def _to_peak(sound: np.ndarray) -> np.ndarray:
    return (PEAK * sound / max(float(np.abs(sound).max()), 1e-9)).astype(np.float32)


def _loudness(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def _audience(length: int, rng: np.random.Generator) -> np.ndarray:
    """Return the noise of many voices, which swells and sinks."""
    from scipy import signal

    band = [rng.uniform(150.0, 400.0), rng.uniform(1500.0, 4000.0)]
    sections = signal.butter(1, band, "bandpass", fs=SAMPLE_RATE, output="sos")
    voices = signal.sosfilt(sections, rng.standard_normal(length))
    knots = length // (4 * SAMPLE_RATE) + 2
    swell = np.interp(np.arange(length), *curve(length, knots, 4.0, rng))
    return voices * 10 ** (swell / 20)


def _equaliser(rng: np.random.Generator) -> list:
    """Return filters as of a mixing desk: two shelves and three peaks."""
    from pedalboard import HighShelfFilter, LowShelfFilter, PeakFilter

    filters = [
        LowShelfFilter(rng.uniform(80.0, 300.0), rng.normal(0.0, 4.0)),
        HighShelfFilter(rng.uniform(2000.0, 6000.0), rng.normal(0.0, 4.0)),
    ]
    for _ in range(3):
        hertz = np.exp(rng.uniform(np.log(100.0), np.log(6000.0)))
        filters.append(PeakFilter(hertz, rng.normal(0.0, 4.0), rng.uniform(0.5, 2.0)))
    return filters


def _reverberate(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from scipy import signal

    decay = rng.uniform(0.2, 1.6)
    wet = rng.uniform(0.05, 0.35)
    time = np.arange(int(decay * SAMPLE_RATE)) / SAMPLE_RATE
    # A reverberation time is that of a fall by 60 dB.
    response = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay)
    response /= np.sqrt(np.sum(response**2))
    tail = signal.fftconvolve(sound, response)[: len(sound)]
    return (1 - wet) * sound + wet * tail


def _limit_band(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from scipy import signal

    low = np.exp(rng.uniform(np.log(25.0), np.log(150.0)))
    high = np.exp(rng.uniform(np.log(4000.0), np.log(10000.0)))
    sections = signal.butter(
        2, [low, high], btype="bandpass", fs=SAMPLE_RATE, output="sos"
    )
    return signal.sosfilt(sections, sound)


def _add_noise(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    level = 10 ** (rng.uniform(-65.0, -30.0) / 20) * _loudness(sound)
    return sound + level * rng.standard_normal(len(sound))
