"""With the default encoder, commands hear each stretch of sound once."""

import numpy as np
import pytest
import soundfile
from projection import Serial

from bytecover_tf import load_encoder
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.audio.windows import iter_windows
from bytecover_tf.catalogues import Identity, indexing, open_catalogue
from bytecover_tf.catalogues.indexing import index_files
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.encoders.hearing_network import HearingNetwork
from bytecover_tf.encoders.pretrained import WEIGHTS
from bytecover_tf.encoders.runtimes import OnnxNetwork
from bytecover_tf.matching.alignment import align
from bytecover_tf.matching.calibration import default_calibration
from bytecover_tf.matching.identification import Query, compare, identify
from bytecover_tf.matching.picture import read_with_picture
from bytecover_tf.matching.setlist import window_matches

pytest.importorskip("lancedb")

FILES = [str(path) for path in tunes.audio_files()[:3]]


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("bytecover-base")


@pytest.fixture(scope="module")
def twice():
    """The encoder as it is exported, which hears everything itself."""
    path = WEIGHTS / "bytecover-base" / "encoder_features.onnx"
    return Encoder(OnnxNetwork(path))


@pytest.fixture(autouse=True)
def deaf(monkeypatch, encoder):
    def fail(*_):
        raise AssertionError("it was heard once more")

    monkeypatch.setattr(HearingNetwork, "_hear", fail)
    monkeypatch.setattr(indexing, "ProcessMap", Serial)


@pytest.fixture
def catalogue(tmp_path, encoder):
    identity = Identity.of(encoder, "bytecover-base")
    with open_catalogue(tmp_path / "catalogue", identity, create=True) as made:
        report = index_files(made, lambda: encoder, FILES)
        assert (report.added, report.failed) == (3, {})
        yield made


def test_index(catalogue, twice):
    rows = {row.recording.path: row for row in catalogue.rows()}
    found = np.stack([rows[path].embedding for path in FILES])
    cosines = (found * twice.embed_audio(FILES)).sum(axis=1)
    assert cosines.min() > 0.9999
    # Chroma is stored with fewer bits.
    for path in FILES:
        chroma = twice.frontend.extract_with_chroma(path, DEFAULT_HEARING)[1]
        assert np.abs(rows[path].chroma.astype(int) - chroma).max() <= 8


def test_identify_and_compare(catalogue, encoder):
    (answer,) = identify(catalogue, encoder, FILES[:1], default_calibration())
    assert not answer.error
    assert answer.matches[0].recording.path == FILES[0]
    frontend = encoder.frontend
    query = Query.read(FILES[0], frontend, DEFAULT_HEARING)
    pictured, _ = read_with_picture(FILES[1], frontend, DEFAULT_HEARING)
    assert compare(query, pictured, encoder).recordings[0].path == FILES[1]
    assert query.later is pictured.later is None


def test_a_clip_from_two_beginnings(catalogue, encoder, tmp_path):
    path = str(tmp_path / "clip.wav")
    rate = encoder.frontend.sample_rate
    soundfile.write(path, load_audio(FILES[0], rate)[: 10 * rate], rate)
    (answer,) = identify(catalogue, encoder, [path], default_calibration())
    match = answer.matches[0]
    assert match.recording.path == FILES[0]
    query = Query.read(path, encoder.frontend, DEFAULT_HEARING)
    (chroma,) = catalogue.chroma([match.recording.id]).values()
    scores = [align(one, chroma).score for one in (query.chroma, query.later)]
    assert scores[0] != scores[1]
    assert match.score == pytest.approx(np.mean(scores))
    again, _ = read_with_picture(path, encoder.frontend, DEFAULT_HEARING)
    np.testing.assert_array_equal(query.later, again.later)


def test_windows(catalogue, encoder):
    samples = load_audio(FILES[1], encoder.frontend.sample_rate)
    (window, *_) = iter_windows(
        [samples], encoder.frontend, DEFAULT_HEARING, 10, 5, 200
    )
    matches = window_matches(
        catalogue, encoder, window, default_calibration(), catalogue.count()
    )
    assert matches[0].recording.path == FILES[1]
