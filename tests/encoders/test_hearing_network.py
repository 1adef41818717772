import numpy as np
import pytest

from bytecover_tf import load_encoder
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING, Heard
from bytecover_tf.data import tunes
from bytecover_tf.encoders import hearing_network
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.encoders.hearing_network import HearingNetwork
from bytecover_tf.encoders.pretrained import WEIGHTS
from bytecover_tf.encoders.runtimes import OnnxNetwork, onnx_session
from bytecover_tf.errors import EncoderError

BASE = WEIGHTS / "bytecover-base" / "encoder_features.onnx"
NOTES = "AvgPool:0"


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("bytecover-base")


@pytest.fixture(scope="module")
def whole():
    """The encoder with its own ears: it hears what was heard before once more."""
    return OnnxNetwork(BASE)


@pytest.fixture(scope="module")
def sounds(encoder):
    files = tunes.audio_files()[:3]
    return [encoder.frontend.extract_sound(path, DEFAULT_HEARING) for path in files]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def cosines(some, others):
    return (unit(some) * unit(others)).sum(axis=-1)


@pytest.fixture
def deaf(monkeypatch):
    """Let no encoder hear anything."""

    def fail(*_):
        raise AssertionError("it was heard once more")

    monkeypatch.setattr(HearingNetwork, "_hear", fail)


def test_one_hearing_gives_the_embeddings_of_two(encoder, whole, sounds, deaf):
    # Blocks of four frames end at one of these, not at the others.
    for sound in sounds:
        heard = [sound.heard]
        found = encoder.embed_features([sound.features], heard=heard)
        expected = whole(sound.features[None, ..., None])
        assert not encoder.errors
        assert cosines(found, expected).min() > 0.99999


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 127, 128, 129, 130, 131, 400])
def test_notes_of_any_length_are_those_that_the_encoder_hears(
    encoder, whole, sounds, frames
):
    magnitudes = np.tile(sounds[0].features, 4)[:, 50 : 50 + frames]
    features = magnitudes / magnitudes.max()
    heard = DEFAULT_HEARING.for_encoder(
        magnitudes, DEFAULT_HEARING.hear_means(magnitudes)
    )
    assert heard.notes.shape == (3, 84, -(-frames // 4))
    embeddings = encoder.embed_features([features] * 2, heard=[heard, None])
    expected = whole(features[None, ..., None])
    assert cosines(embeddings[:1], embeddings[1:]) > 0.9999999
    assert cosines(embeddings[1:], expected) > 0.99999


def test_ears_are_opened_when_something_is_to_be_heard(sounds, monkeypatch):
    opened = []

    def opening(path, *arguments):
        opened.append(path)
        return onnx_session(path, *arguments)

    monkeypatch.setattr(hearing_network, "onnx_session", opening)
    network = HearingNetwork(BASE, NOTES, DEFAULT_HEARING)
    features, notes = sounds[0].features[None, ..., None], sounds[0].heard.notes
    network(features, notes[None])
    assert not opened
    network(features)
    network(features)
    assert opened == [DEFAULT_HEARING.path]


def test_a_batch_is_heard_as_its_recordings_are(encoder, whole, sounds):
    features = np.stack([sound.features[:, :50] for sound in sounds])[..., None]
    features /= features.max(axis=(1, 2, 3), keepdims=True)
    network = HearingNetwork(BASE, NOTES, DEFAULT_HEARING)
    assert cosines(network(features), whole(features)).min() > 0.99999
    assert network.providers == whole.providers
    assert network.info == whole.info
    assert network.frontend == Frontend.from_dict(whole.info["frontend"])


def test_only_notes_of_the_same_network_count(encoder, sounds):
    features, heard = sounds[0].features, sounds[0].heard
    # So that it shows whose notes count.
    other = np.ascontiguousarray(heard.notes[..., ::-1])
    found = encoder.embed_features(
        [features] * 4,
        heard=[heard, Heard(other, heard.network), Heard(other, "another"), None],
    )
    assert cosines(found[0], found[1]) < 0.999
    np.testing.assert_allclose(found[2], found[3], atol=1e-6)
    np.testing.assert_allclose(found[0], found[3], atol=1e-4)


def test_an_encoder_that_reads_no_notes_takes_no_notice(sounds):
    small = load_encoder("bytecover-small")
    features = np.abs(np.random.default_rng(0).normal(size=(84, 60)))
    np.testing.assert_array_equal(
        small.embed_features([features], heard=[sounds[0].heard]),
        small.embed_features([features]),
    )


def test_parts_of_a_long_recording_are_heard_by_themselves(encoder, whole, sounds):
    repeats = -(-round(620 / encoder.frontend.seconds_per_frame) // 100)
    features = np.tile(sounds[0].features[:, :100], repeats)
    heard = DEFAULT_HEARING.for_encoder(features, DEFAULT_HEARING.hear_means(features))
    found = encoder.embed_features([features], heard=[heard])
    assert cosines(found, Encoder(whole).embed_features([features])) > 0.99999


def test_notes_of_another_length_are_refused(encoder, sounds):
    heard = Heard(sounds[0].heard.notes[..., 1:], sounds[0].heard.network)
    found = encoder.try_features([sounds[0].features], heard=[heard])
    assert "`notes` must be of" in found.errors[0]
    assert np.isnan(found.vectors).all()


def test_a_graph_without_these_notes_is_refused():
    with pytest.raises(EncoderError, match=r"features\.onnx: cannot be .* makes what"):
        HearingNetwork(BASE, "what", DEFAULT_HEARING)
