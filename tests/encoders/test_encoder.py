import json
import tracemalloc
import zipfile

import numpy as np
import pytest
import soundfile
from projection import Projection

import bytecover_tf
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.encoders.model_file import read_info, save_model
from bytecover_tf.errors import EncoderError
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover

FRONTEND = Frontend(pool=20)


@pytest.fixture(scope="module")
def model():
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    rng = np.random.default_rng(0)
    for variable in model.variables:
        # So that normalisation is not trivial; with means above zero, hardly a channel
        # would be left.
        if "moving_mean" in variable.path:
            variable.assign(rng.normal(0, 0.2, variable.shape))
        elif "moving" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.fixture
def path(model, tmp_path):
    save_model(model, tmp_path / "encoder.keras", FRONTEND, {"seed": 5})
    return tmp_path / "encoder.keras"


def embedding(model, features):
    """f_c of one recording by itself, at unit norm."""
    f_c = np.asarray(model(features[None, ..., None])["f_c"])[0]
    return f_c / np.linalg.norm(f_c)


def test_features_of_any_length_as_if_each_were_alone(model, path, rng):
    features = [rng.random((84, n)) for n in (7, 40, 7, 1, 103, 40, 7)]
    features = [(f / f.max()).astype(np.float32) for f in features]
    encoder = load_encoder(path)
    result = encoder.embed_features(features)
    assert result.shape == (7, encoder.dim) == (7, 128)
    assert result.dtype == np.float32
    assert encoder.errors == {}
    np.testing.assert_allclose(np.linalg.norm(result, axis=1), 1, atol=1e-5)
    for row, array in zip(result, features, strict=True):
        np.testing.assert_allclose(row, embedding(model, array), atol=1e-5)


def test_batches_are_bounded_and_change_nothing(path, rng, monkeypatch):
    features = [rng.random((84, 10)) for _ in range(9)]
    whole = load_encoder(path).embed_features(features)
    monkeypatch.setattr(bytecover_tf.encoders.encoder, "_BATCH_FRAMES", 25)
    encoder = load_encoder(path)
    sizes = []
    network = encoder._network
    encoder._network = lambda x: sizes.append(len(x)) or network(x)
    np.testing.assert_allclose(encoder.embed_features(features), whole, atol=1e-5)
    assert sizes == [2, 2, 2, 2, 1]


def test_windows_share_the_memory_of_their_recording(rng):
    frontend = Frontend(pool=20)
    features = rng.random((84, 50_000), np.float32)
    kept = features.copy()
    windows = [features[:, start : start + 400] for start in range(0, 49_600, 200)]
    encoder = Encoder(Projection(frontend))
    encoder.embed_features(windows[:2])  # what is imported on first use
    tracemalloc.start()
    try:
        embeddings = encoder.embed_features([features, *windows])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < features.nbytes / 2
    np.testing.assert_array_equal(features, kept)
    (alone,) = encoder.embed_features([windows[7].copy() / windows[7].max()])
    np.testing.assert_allclose(embeddings[8], alone, atol=1e-6)


def test_a_long_recording_is_the_mean_of_its_parts(model, path, rng, monkeypatch):
    features = rng.random((84, 95)).astype(np.float32)
    features[:, 30:60] = 0
    features[:, 40] = 1e-3  # a quiet part counts as much as a loud one
    features /= features.max()
    frame = FRONTEND.seconds_per_frame
    monkeypatch.setattr(bytecover_tf.encoders.encoder, "LONGEST_WORK", 40.4 * frame)
    monkeypatch.setattr(bytecover_tf.encoders.encoder, "PART", 30 * frame)
    short, long = load_encoder(path).embed_features([features[:, :40], features])
    # Silent frames make normalisation show how differently TensorFlow rounds when it
    # runs a network eagerly.
    np.testing.assert_allclose(short, embedding(model, features[:, :40]), atol=5e-5)
    parts = [features[:, start : start + 30] for start in (0, 30, 60, 65)]
    mean = np.mean([embedding(model, part / part.max()) for part in parts], axis=0)
    np.testing.assert_allclose(long, mean / np.linalg.norm(mean), atol=5e-5)


@pytest.mark.parametrize("residue", [0, 1e-7])
def test_silent_parts_of_a_long_recording_have_no_say(path, rng, monkeypatch, residue):
    features = rng.random((84, 90)).astype(np.float32)
    features[:, 30:60] *= residue
    frame = FRONTEND.seconds_per_frame
    monkeypatch.setattr(bytecover_tf.encoders.encoder, "LONGEST_WORK", 60.4 * frame)
    monkeypatch.setattr(bytecover_tf.encoders.encoder, "PART", 30 * frame)
    encoder = load_encoder(path)
    first, last, long = encoder.embed_features(
        [features[:, :30], features[:, 60:], features]
    )
    mean = first + last
    assert first @ last < 0.999
    np.testing.assert_allclose(long, mean / np.linalg.norm(mean), atol=1e-5)


def test_memory_is_bounded_by_bytes_too(path, rng, monkeypatch):
    features = [rng.random((84, 10), np.float32) for _ in range(40)]
    encoder = load_encoder(path)
    whole = encoder.embed_features([*features, np.zeros((84, 10))])
    assert list(encoder.errors) == [40]
    monkeypatch.setattr(
        bytecover_tf.encoders.encoder, "_BYTES_AT_ONCE", 3 * features[0].nbytes
    )
    asked = []
    embed_prepared = encoder._embed_prepared
    encoder._embed_prepared = lambda x: asked.append(len(x)) or embed_prepared(x)
    bounded = encoder.embed_features([*features, np.zeros((84, 10))])
    assert asked == [*[3] * 13, 2]
    assert list(encoder.errors) == [40]
    np.testing.assert_allclose(bounded, whole, atol=1e-5)


def test_versions_are_near_an_album_with_their_tunes(monkeypatch):
    sounds = [load_audio(str(file)) for file in tunes.audio_files()]
    album = np.concatenate([sounds[number] for number in (0, 4, 8, 12)] * 3)
    encoder = load_encoder("bytecover-small")
    single = encoder.embed_waveforms(sounds)
    (whole,) = encoder.embed_waveforms([album])
    monkeypatch.setattr(bytecover_tf.encoders.encoder, "LONGEST_WORK", 60.0)
    (parts,) = encoder.embed_waveforms([album])

    def found(vector):
        """How many of the other versions are nearer to it than to any other tune."""
        queries = [number for number in range(16) if number % 4]
        others = np.arange(16) // 4
        return sum(
            single[number] @ vector
            > (single[others != number // 4] @ single[number]).max()
            for number in queries
        )

    assert found(parts) >= 6 > found(whole)


def test_inputs_are_taken_up_some_at_a_time(path, rng, monkeypatch):
    features = [rng.random((84, n)) for n in (10, 5, 10, 10, 5, 10, 8)]
    features[3] = np.ones((80, 10))
    whole = load_encoder(path).embed_features(features)
    monkeypatch.setattr(bytecover_tf.encoders.encoder, "_AT_ONCE", 3)
    monkeypatch.setattr(bytecover_tf.encoders.encoder, "usable_cores", lambda: 1)
    encoder = load_encoder(path)
    taken, before_network = [], []
    network = encoder._network
    encoder._network = lambda x: before_network.append(len(taken)) or network(x)
    inputs = (taken.append(number) or f for number, f in enumerate(features))
    np.testing.assert_allclose(encoder.embed_features(inputs), whole, atol=1e-5)
    # And two ahead.
    assert before_network == [5, 5, 7, 7, 7]
    assert list(encoder.errors) == [3]


def test_audio_waveforms_and_features_agree(model, path, tmp_path, music):
    samples = [music(seconds, seed=seconds) for seconds in (5, 8)]
    files = []
    for number, array in enumerate(samples):
        files.append(tmp_path / f"{number}.wav")
        soundfile.write(files[-1], array, 22050, subtype="FLOAT")
    encoder = load_encoder(path)
    by_file = encoder.embed_audio(files)
    np.testing.assert_allclose(by_file, encoder.embed_waveforms(samples), atol=1e-5)
    features = [FRONTEND.features(array) for array in samples]
    np.testing.assert_allclose(by_file, encoder.embed_features(features), atol=1e-5)


def test_a_bad_input_costs_only_its_row(path, tmp_path, music):
    soundfile.write(tmp_path / "good.wav", music(5), 22050)
    (tmp_path / "bad.mp3").write_text("not audio")
    encoder = load_encoder(path)
    paths = [tmp_path / "bad.mp3", tmp_path / "good.wav", tmp_path / "none.ogg"]
    result = encoder.embed_audio(paths)
    assert np.isnan(result).all(axis=1).tolist() == [True, False, True]
    assert set(encoder.errors) == {0, 2}
    assert "bad.mp3" in encoder.errors[0]
    assert "none.ogg" in encoder.errors[2]

    result = encoder.embed_waveforms([np.zeros(100_000, np.float32), music(5), "x"])
    assert np.isfinite(result[1]).all()
    assert "silen" in encoder.errors[0]
    assert 2 in encoder.errors

    wrong = [np.ones((80, 5)), np.full((84, 5), np.nan), np.ones((84, 0))]
    assert np.isnan(encoder.embed_features(wrong)).all()
    assert set(encoder.errors) == {0, 1, 2}
    assert encoder.embed_audio([]).shape == (0, 128)
    assert encoder.errors == {}


def test_a_length_that_the_network_refuses_costs_only_its_rows(path, rng):
    encoder = load_encoder(path)
    network = encoder._network

    def demanding(features):
        if features.shape[2] < 8:
            raise RuntimeError("needs 8 frames")
        return network(features)

    encoder._network = demanding
    features = [rng.random((84, frames)) for frames in (5, 9, 5)]
    found = encoder.try_features(features, ["a.mp3", "b.mp3", "c.mp3"])
    assert np.isnan(found.vectors).all(axis=1).tolist() == [True, False, True]
    assert list(found.errors) == [0, 2]
    assert "c.mp3: " in found.errors[2]
    assert "needs 8 frames" in found.errors[2]


def test_errors_are_returned_with_the_embeddings(path, tmp_path, music):
    soundfile.write(tmp_path / "good.wav", music(5), 22050)
    encoder = load_encoder(path)
    files = [tmp_path / "none.ogg", tmp_path / "good.wav"]
    by_file = encoder.try_audio(files)
    assert list(by_file.errors) == [0]
    assert "none.ogg" in by_file.errors[0]
    by_samples = encoder.try_waveforms([np.zeros(100_000, np.float32), music(5)])
    by_features = encoder.try_features(
        [np.ones((80, 5)), FRONTEND.features(music(5))], ["a", "b"]
    )
    assert list(by_samples.errors) == list(by_features.errors) == [0]
    assert by_features.errors[0].startswith("a: ")
    for vectors, errors in (by_file, by_samples, by_features):
        assert list(errors) == [0]
        assert np.isnan(vectors[0]).all()
        np.testing.assert_allclose(vectors[1], by_file.vectors[1], atol=1e-3)
    # Of these calls the encoder itself keeps nothing.
    assert encoder.errors == {}


def test_a_run_directory_is_an_encoder_and_info_is_kept(path):
    encoder = load_encoder(path.parent)
    assert encoder.frontend == FRONTEND
    assert encoder.info["seed"] == 5
    assert set(encoder.info["versions"]) >= {"bytecover_tf", "keras", "librosa"}


def test_what_is_no_encoder_is_refused(path, tmp_path):
    with pytest.raises(EncoderError, match=r"none\.keras: no such file"):
        load_encoder(tmp_path / "none.keras")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(EncoderError, match=r"encoder\.keras is missing"):
        load_encoder(empty)
    (tmp_path / "cut.keras").write_bytes(path.read_bytes()[:5000])
    with pytest.raises(EncoderError, match=r"cut\.keras"):
        load_encoder(tmp_path / "cut.keras")


def rewritten(path, target, changes, extra=()):
    """Copy an archive with some members changed or added."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name, old.read(name)))
        for name in extra:
            new.writestr(name, b"x")
    return target


def test_archives_cannot_reach_outside_or_run_code(path, tmp_path):
    outside = rewritten(path, tmp_path / "a.keras", {}, ["../escaped.txt"])
    with pytest.raises(EncoderError, match="escaped"):
        load_encoder(outside)
    assert not (tmp_path.parent / "escaped.txt").exists()

    config = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"function": "evil"},
        "registered_name": None,
    }
    code = rewritten(path, tmp_path / "b.keras", {"config.json": json.dumps(config)})
    with pytest.raises(EncoderError, match="expected a ByteCover"):
        load_encoder(code)

    with zipfile.ZipFile(path) as archive:
        nested = json.loads(archive.read("config.json"))
    nested["config"]["width"] = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "x", "function": {"class_name": "__lambda__", "config": {}}},
        "registered_name": None,
    }
    code = rewritten(path, tmp_path / "c.keras", {"config.json": json.dumps(nested)})
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder(code)

    plain = tmp_path / "d.keras"
    ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4)).save(plain)
    with pytest.raises(EncoderError, match=r"bytecover\.json"):
        load_encoder(plain)


def test_saving_replaces_the_old_file_only_when_done(model, path, monkeypatch):
    before = path.read_bytes()

    def fail(*_args, **_kwargs):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        save_model(model, path, FRONTEND, {})
    assert path.read_bytes() == before
    assert read_info(path)["seed"] == 5


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_an_embedding_without_direction_is_an_error(bad):
    class Network:
        frontend, dim = FRONTEND, 4

        def __call__(self, features):
            f_c = np.ones((len(features), 4), np.float32)
            f_c[features[:, 0, 0, 0] > 0.75] = bad
            return f_c

    features = [np.full((84, 3), 0.5, np.float32) for _ in range(3)]
    features[1][0, 0] = 1
    for item in features:
        item[1, 1] = 1
    encoder = Encoder(Network())
    found = encoder.embed_features(features, ["a", "b", "c"])
    assert encoder.errors == {1: "b: its embedding is not finite"}
    np.testing.assert_array_equal(np.isnan(found).any(axis=1), [False, True, False])
