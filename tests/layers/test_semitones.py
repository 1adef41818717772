import numpy as np
import pytest

from bytecover_tf.audio.constant_q import Signal, Transform, magnitudes
from bytecover_tf.layers.semitones import Semitones


def plain(fine, frames):
    """The fold in loops: float (3 * semitones, n) to (semitones, ceil(n / frames))."""
    bins, count = fine.shape
    fine = fine / fine.max()
    energy = (0.131, 0.878, 0.28, 0.071)
    folded = np.zeros((bins // 3, -(-count // frames)))
    for s in range(bins // 3):
        gain = np.interp(s, (0, 3, 40, 84), (1.0, 0.72, 0.93, 1.0))
        for t in range(count):
            total = 0.0
            for away in range(-3, 4):
                if 0 <= 3 * s + away < bins:
                    total += energy[abs(away)] * fine[3 * s + away, t] ** 2
            folded[s, t // frames] += gain * np.sqrt(total) / frames
    return folded / folded.max()


@pytest.mark.parametrize(("count", "frames"), [(1, 4), (8, 4), (10, 4), (7, 1)])
def test_it_equals_plain_loops(count, frames, rng):
    fine = rng.random((72, count)).astype(np.float32)
    found = np.asarray(Semitones(frames)(fine[None, ..., None]))[0, ..., 0]
    np.testing.assert_allclose(found, plain(fine, frames), atol=1e-5)


def test_gain_does_not_matter_and_silence_stays_silent(rng):
    fine = rng.random((1, 72, 8, 1)).astype(np.float32)
    once, louder = (np.asarray(Semitones()(gain * fine)) for gain in (1, 1e-5))
    np.testing.assert_allclose(once, louder, rtol=1e-5)
    assert not np.asarray(Semitones()(0 * fine)).any()


def test_of_a_sound_it_is_near_the_transform_of_12_bins(rng):
    # Notes that come and go, with five harmonics.
    time = np.arange(6 * 22050) / 22050
    samples = np.zeros_like(time)
    for pitch in rng.integers(36, 84, 24):
        start, hertz = rng.uniform(0, 5), 440 * 2 ** ((pitch - 69) / 12)
        envelope = np.exp(-3 * np.maximum(time - start, 0)) * (time > start)
        for harmonic in range(1, 6):
            samples += envelope * np.sin(2 * np.pi * harmonic * hertz * time) / harmonic
    signal = Signal(samples.astype(np.float32))
    coarse = magnitudes(signal, Transform())[:, :240]
    fine = magnitudes(signal, Transform(n_bins=252, bins_per_octave=36))[:, :240]
    expected = coarse.reshape(84, -1, 20).mean(axis=2)
    fine = fine.reshape(252, -1, 5).mean(axis=2)
    found = np.asarray(Semitones(4)(fine[None, ..., None]))[0, ..., 0]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="frames=0"):
        Semitones(0)
    with pytest.raises(ValueError, match="3 bins a semitone"):
        Semitones()(np.zeros((1, 80, 4, 1), np.float32))
    with pytest.raises(ValueError, match="batch, bins, frames, 1"):
        Semitones()(np.zeros((1, 84, 4, 2), np.float32))
