import numpy as np
import pytest
from random_tunes import performance

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import ConfigError, DataError
from bytecover_tf.synth.drawing import bin_effects
from bytecover_tf.synth.drawing.spectral import draw_features

TUNE = [60, 64, 67, 62, 65, 69, 72, 67, 64, 60, 62, 59, 60, 67, 64, 60]


def test_the_shape_and_range_are_those_of_a_recording():
    features = draw_features(performance(TUNE), Frontend(), np.random.default_rng(0))
    assert features.dtype == np.float32
    assert features.shape[0] == 84
    # 40 s, and up to 2 s on either side.
    assert 40 / 2.33 - 1 <= features.shape[1] <= 44 / 2.32
    assert features.max() == 1
    assert (features > 0).all()
    again = draw_features(performance(TUNE), Frontend(), np.random.default_rng(0))
    np.testing.assert_array_equal(again, features)
    other = draw_features(performance(TUNE), Frontend(), np.random.default_rng(1))
    assert other.shape != features.shape or not np.allclose(other, features)


@pytest.mark.parametrize("seed", range(4))
def test_another_key_is_a_shift_of_bins(seed, monkeypatch):
    # A crowd and a worn record have no key.
    monkeypatch.setattr(bin_effects, "CROWDED", 0.0)
    monkeypatch.setattr(bin_effects, "WORN", 0.0)
    low, high = (
        draw_features(
            performance([pitch + shift for pitch in TUNE]),
            Frontend(),
            np.random.default_rng(seed),
        )
        for shift in (0, 3)
    )
    # Away from the edges, the fixed equaliser apart.
    low, high = np.log(low[20:70] + 1e-3), np.log(high[14:76] + 1e-3)
    scores = [np.corrcoef(low.ravel(), high[s : s + 50].ravel())[0, 1]
              for s in range(12)]  # fmt: skip
    assert np.argmax(scores) == 6 + 3


def test_a_performance_of_nothing_has_no_features():
    with pytest.raises(DataError, match="without notes"):
        draw_features(performance([]), Frontend(), np.random.default_rng(0))


def test_the_pool_must_fit_the_steps():
    with pytest.raises(ConfigError, match="must divide"):
        draw_features(performance(TUNE), Frontend(pool=16), np.random.default_rng(0))
