import numpy as np
import pytest

from benchmarks.accuracy import realism


@pytest.fixture
def spectrum():
    """Three partials above a floor 50 dB below, the loudest in every frame."""
    x = np.full((84, 40), 10 ** (-50 / 20))
    for bin, amplitude in ((6, 0.5), (30, 1.0), (60, 0.25)):
        x[bin] = amplitude
    return x


def test_partials_are_counted_and_their_height_is_in_decibels(spectrum):
    assert realism.peaks(spectrum).sum(axis=0).tolist() == [3] * 40
    expected = 10 * np.log10(np.array([0.5, 1.0, 0.25]) ** 2 / 1e-5)
    assert realism.peak_height(spectrum) == pytest.approx(np.median(expected), abs=0.01)
    # A peak more than 30 dB below the loudest bin counts for nothing.
    spectrum[75] = 10 ** (-35 / 20)
    assert realism.peaks(spectrum).sum(axis=0).tolist() == [3] * 40


def test_measures_agree_with_plain_loops(rng):
    x = rng.random((84, 20)) ** 4
    frames = x.shape[1]
    energy = [sum(x[bin, t] ** 2 for t in range(frames)) for bin in range(84)]
    centre = sum(bin * e for bin, e in enumerate(energy)) / sum(energy)
    assert realism.centroid(x) == pytest.approx(centre)
    low = np.mean([x[bin, t] ** 0.5 for bin in range(12) for t in range(frames)])
    every = np.mean([x[bin, t] ** 0.5 for bin in range(84) for t in range(frames)])
    assert realism.lowest_octave(x) == pytest.approx(low / every)
    changes = [
        abs(x[bin, t + 1] ** 0.5 - x[bin, t] ** 0.5)
        for bin in range(84)
        for t in range(frames - 1)
    ]
    assert realism.flux(x) == pytest.approx(np.mean(changes) / every)


def test_silent_frames_are_left_out(spectrum):
    quiet = np.concatenate([spectrum, 0.001 * spectrum], axis=1)
    with_silence, without = realism.measure([quiet]), realism.measure([spectrum])
    for name, values in without.items():
        assert with_silence[name] == pytest.approx(values), name
