import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.configs import load_config
from bytecover_tf.encoders.notes import take_hearing
from bytecover_tf.errors import ConfigError
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.learner import Learner
from bytecover_tf.models.objective import Objective
from bytecover_tf.training.config import Config


@pytest.fixture(scope="module")
def network():
    """The network of the config, with small backbone and the package's ears."""
    settings = load_config("notes").architecture
    network = ByteCover(Architecture(**{**vars(settings), "width": 2}))
    network.build((None, 252, None, 1))
    take_hearing(network)
    return network


@pytest.mark.parametrize("frames", [1, 2, 41, 132])
def test_it_hears_what_the_package_hears(network, frames, rng):
    amplitudes = rng.gamma(0.3, 3.0, (252, frames)).astype(np.float32)
    found = np.asarray(network.heard(amplitudes[None, ..., None] / 100))[0]
    quarter = -(-frames // 4)
    assert found.shape == (84, quarter, 2)
    # The missing frames are silence, which counts in no mean of amplitudes.
    silence = np.zeros((252, 4 * quarter - frames), np.float32)
    padded = np.concatenate([amplitudes, silence], axis=1)
    heard = DEFAULT_HEARING.hear(padded * (amplitudes.mean() / padded.mean()))
    notes, _, melody = heard.reshape(3, 84, quarter, 2).mean(axis=-1)
    if frames % 4 == 0:
        np.testing.assert_allclose(
            found[..., 0], np.minimum(1.5 * melody, 1), atol=1e-4
        )
        above = notes - notes.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(found[..., 1], np.clip(2 * above, 0, 1), atol=3e-4)
    assert found.min() >= 0
    assert found.max() <= 1


def test_notes_are_embedded_as_if_they_had_just_been_heard(network, rng):
    features = rng.gamma(0.3, 3.0, (2, 252, 120, 1)).astype(np.float32)
    notes = network.heard(features)
    expected = network(features)
    learner = Learner(network, Objective(temperature=0.1))
    learner.build((None, 252, None, 1))
    for found in (network.embed_notes(notes), learner({"notes": notes})):
        for name in ("f_t", "f_c"):
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    plain = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=2))
    plain.build((None, 84, None, 1))
    with pytest.raises(ValueError, match="reads no notes"):
        plain.embed_notes(notes)


def test_its_ears_do_not_learn(network):
    assert network.heard.network.weights
    assert not network.heard.trainable_variables
    assert not any("heard" in one.path for one in network.trainable_variables)


def test_in_another_key_a_recording_has_nearly_the_same_embedding(network, rng):
    fine = np.zeros((1, 252, 120, 1), np.float32)
    for pitch, start in zip(rng.integers(20, 60, 30), range(0, 120, 4), strict=True):
        fine[0, 3 * pitch, start : start + 6] = rng.uniform(0.5, 1)
    one, other = (
        np.asarray(network(moved)["f_c"])[0]
        for moved in (fine, np.roll(fine, 3 * 2, axis=1))
    )
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.9


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="heard needs pitch_classes"):
        Architecture(heard=24)
    with pytest.raises(ConfigError, match="hear_once needs heard"):
        Config(hear_once=True)
    with pytest.raises(ConfigError, match="no other layer"):
        Architecture(heard=24, pitch_classes=True, registers=4)
    with pytest.raises(ConfigError, match="whole octaves of 36 bins"):
        Config(heard=24, pitch_classes=True)
    with pytest.raises(ConfigError, match="whole octaves of 36 bins"):
        Config(semitones=4, frontend=Frontend(pool=5))
    with pytest.raises(ConfigError, match="whole octaves of 12 bins"):
        Config(pitch_classes=True, frontend=Frontend(n_bins=252, bins_per_octave=36))
    other = ByteCover(Architecture(width=2, heard=3, pitch_classes=True))
    other.build((None, 252, None, 1))
    with pytest.raises(ConfigError, match="heard=3: expected 24"):
        take_hearing(other)
