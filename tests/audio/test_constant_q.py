import sys
from subprocess import run

import librosa
import numpy as np
import pytest

from bytecover_tf.audio import constant_q
from bytecover_tf.audio.constant_q import Signal, Transform, magnitudes
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import ConfigError


def by_librosa(samples, frontend):
    transform = librosa.cqt(
        samples,
        sr=frontend.sample_rate,
        hop_length=frontend.hop_length,
        fmin=frontend.fmin,
        n_bins=frontend.n_bins,
        bins_per_octave=frontend.bins_per_octave,
        window=frontend.window,
    )
    return np.abs(transform)


def check(samples, frontend):
    """Within 2e-6 of the peak, and within 1e-3 of each value down to 60 dB below it."""
    result, expected = (
        magnitudes(Signal(samples), frontend),
        by_librosa(samples, frontend),
    )
    assert result.dtype == np.float32
    assert result.shape == expected.shape
    error, peak = np.abs(result - expected), expected.max()
    assert error.max() < 2e-6 * peak
    heard = expected > 1e-3 * peak
    assert (error[heard] / expected[heard]).max() < 1e-3


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hop_length": 256},
        {"hop_length": 320, "sample_rate": 16000},
        {"n_bins": 80},
        {"n_bins": 60},  # librosa decimates by 4 before the first octave
        {"n_bins": 96},
        {"n_bins": 168, "bins_per_octave": 24},
        {"n_bins": 12, "fmin": 440.0, "hop_length": 441},
        {"n_bins": 1, "fmin": 440.0, "window": "hamming"},
        {"n_bins": 36, "window": "blackman"},
    ],
)
def test_equals_librosa(changes, music):
    frontend = Frontend(**changes)
    check(music(7, sample_rate=frontend.sample_rate), frontend)


@pytest.mark.parametrize("count", [50_688, 50_689, 50_751, 102_912, 123_457])
def test_ends_of_noise_equal_librosa(count, rng):
    check(rng.normal(0, 0.2, count).astype(np.float32), Frontend())


def test_a_recording_of_a_few_samples_has_one_frame():
    assert magnitudes(Signal(np.ones(3, np.float32)), Frontend()).shape == (84, 1)


def test_a_filter_beyond_half_the_sample_rate_is_refused():
    with pytest.raises(ConfigError, match="lower fmin or n_bins"):
        magnitudes(Signal(np.ones(22050, np.float32)), Frontend(sample_rate=8000))


def test_a_signal_that_two_transforms_share_is_decimated_once(music, monkeypatch):
    samples = music(5)
    alone = magnitudes(Signal(samples), Frontend())
    decimated = []
    resample = constant_q.soxr.resample

    def noted(samples, factor, *rest):
        decimated.append(len(samples))
        return resample(samples, factor, *rest)

    monkeypatch.setattr(constant_q.soxr, "resample", noted)
    signal = Signal(samples)
    np.testing.assert_array_equal(magnitudes(signal, Frontend()), alone)
    fine = Transform(n_bins=252, bins_per_octave=36)
    shared = magnitudes(signal, fine)
    assert len(decimated) == 6
    np.testing.assert_array_equal(shared, magnitudes(Signal(samples), fine))


@pytest.mark.parametrize("bins_per_octave", [12, 36])
def test_products_are_too_small_for_threads(bins_per_octave, music, monkeypatch):
    """OpenBLAS gives a thread to each 2**18 multiplications of a product."""
    sizes = []
    matmul = np.matmul

    def noted(left, right, out=None):
        sizes.append(left.size * right.shape[1])
        return matmul(left, right, out=out)

    monkeypatch.setattr(np, "matmul", noted)
    transform = Transform(n_bins=7 * bins_per_octave, bins_per_octave=bins_per_octave)
    magnitudes(Signal(music(5)), transform)
    assert 2**17 < max(sizes) <= 2**19


def test_slow_imports_are_not_needed():
    code = (
        "import numpy as np, sys; from bytecover_tf.audio.frontend import Frontend; "
        "Frontend().features(np.ones(60000, np.float32)); "
        "sys.exit(bool({'librosa', 'numba', 'scipy.signal'} & set(sys.modules)))"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
