import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.synth.drawing import bin_effects

FRONTEND = Frontend()
STEP = 0.1
STEPS = 600
# A chord, loud in the first half and 20 dB softer in the second.
PLAYED = np.zeros((FRONTEND.n_bins, STEPS))
PLAYED[[24, 28, 31]] = 1.0
PLAYED[:, STEPS // 2 :] *= 0.01


def energies(effect, *arguments, seeds=30):
    return [
        effect(PLAYED, *arguments, np.random.default_rng(seed)) for seed in range(seeds)
    ]


def test_a_recording_follows_from_the_seed():
    def recorded(seed):
        rng = np.random.default_rng(seed)
        return bin_effects.record_energy(PLAYED.copy(), STEP, FRONTEND, rng)

    np.testing.assert_array_equal(recorded(0), recorded(0))
    assert recorded(0).shape == PLAYED.shape
    assert not np.allclose(recorded(0), recorded(1))
    assert all((recorded(seed) >= 0).all() for seed in range(20))


def test_compression_makes_soft_and_loud_more_alike():
    for decibels in energies(bin_effects._compression):
        loud, soft = decibels[: STEPS // 2], decibels[STEPS // 2 :]
        assert np.ptp(loud) == np.ptp(soft) == pytest.approx(0)
        # 20 dB apart, from which a fifth to four fifths are taken.
        assert 0.2 * 20 <= soft[0] - loud[0] <= 0.8 * 20
        assert loud[0] < 0 < soft[0]


def test_a_crowd_talks_and_applauds_at_the_end():
    crowds = energies(bin_effects._crowd, STEP, FRONTEND)
    spectrum = np.mean([crowd.mean(axis=1) / crowd.mean() for crowd in crowds], axis=0)
    hertz = FRONTEND.fmin * 2 ** (np.arange(FRONTEND.n_bins) / 12)
    assert 400 <= hertz[spectrum.argmax()] <= 1500
    swell = [crowd[:, -10:].mean() / crowd[:, 100:-100].mean() for crowd in crowds]
    assert np.median(swell) > 2
    low, high = bin_effects.CROWD_RANGE
    level = [10 * np.log10(crowd[:, :-100].max(axis=0).mean()) for crowd in crowds]
    assert low < np.median(level) < high


def test_a_worn_record_rumbles_and_crackles():
    for worn in energies(bin_effects._record_player, STEP, FRONTEND):
        rumble = worn.mean(axis=1)
        assert rumble[0] > 2 * rumble[11]
        clicks = worn[-1] > 10 * np.median(worn[-1])
        # From .3 to 6 a second, of which some fall into one step.
        assert 5 <= clicks.sum() <= 330


@pytest.mark.parametrize("effect", [bin_effects._crowd, bin_effects._record_player])
def test_what_is_added_is_so_loud_whatever_the_scale(effect):
    quiet = effect(1e-3 * PLAYED, STEP, FRONTEND, np.random.default_rng(0))
    loud = effect(PLAYED, STEP, FRONTEND, np.random.default_rng(0))
    np.testing.assert_allclose(1e3 * quiet, loud)
