import json
import shutil
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.model_file import (
    load_hearing_model,
    load_learner,
    load_model,
    read_info,
    save_model,
)
from bytecover_tf.errors import EncoderError
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.learner import Learner
from bytecover_tf.models.note_network import NoteNetwork
from bytecover_tf.models.objective import Objective


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize("room", [0, 20_000])
def test_a_full_disk_keeps_what_was_saved_before(tmp_path, room):
    import resource

    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    path = tmp_path / "checkpoint.keras"
    save_model(model, path, Frontend(), {"epoch": 1})
    kept = path.read_bytes()
    assert len(kept) > room
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError, match=r"checkpoint\.keras"):
            save_model(model, path, Frontend(), {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == kept
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert load_model(path)[1]["epoch"] == 1


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=2))
    model.build((None, 84, None, 1))
    path = tmp_path_factory.mktemp("original") / "encoder.keras"
    save_model(model, path, Frontend(), {})
    return path


@pytest.fixture
def saved(original, tmp_path):
    """A file of an encoder that a test may damage."""
    return Path(shutil.copy(original, tmp_path))


def rewrite(path, member, content):
    """Put other content into a member of an archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, member: content}.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("bytecover.json", b"[]"),
        ("bytecover.json", b"null"),
        ("config.json", b"[" * 100_000),
        ("config.json", b"null"),
        ("config.json", b'{"registered_name": "bytecover_tf>ByteCover"}'),
        ("model.weights.h5", b"no HDF5"),
    ],
)
def test_damage_of_any_member_names_the_file(saved, member, content):
    rewrite(saved, member, content)
    with pytest.raises(EncoderError, match=r"encoder\.keras"):
        load_model(saved)


@pytest.mark.parametrize(
    "frontend", [None, 5, {"n_bins": "x"}, {"fmin": "x"}, {"pool": 0}, {"other": 1}]
)
def test_a_damaged_frontend_names_the_file(saved, frontend):
    with zipfile.ZipFile(saved) as archive:
        record = json.loads(archive.read("bytecover.json"))
    rewrite(saved, "bytecover.json", json.dumps({**record, "frontend": frontend}))
    with pytest.raises(EncoderError, match=r"encoder\.keras: bytecover\.json: damaged"):
        load_model(saved)
    del record["frontend"]
    rewrite(saved, "bytecover.json", json.dumps(record))
    with pytest.raises(EncoderError, match=r"encoder\.keras: bytecover\.json: damaged"):
        load_model(saved)


def test_flipped_bytes_of_an_archive_name_the_file(saved):
    content = bytearray(saved.read_bytes())
    for start in range(0, len(content), len(content) // 6):
        damaged = content.copy()
        damaged[start : start + 40] = bytes(byte ^ 255 for byte in damaged[start:][:40])
        saved.write_bytes(damaged)
        # Any other error fails this test. Some flips do no harm.
        with suppress(EncoderError):
            load_model(saved)


@pytest.mark.parametrize(
    "foreign", [None, {}, {"input_shape": None}, {"shapes_dict": {"x": [None, 84]}}]
)
def test_a_model_that_cannot_be_built_is_refused(saved, foreign):
    with zipfile.ZipFile(saved) as archive:
        config = json.loads(archive.read("config.json"))
    config["build_config"] = foreign
    rewrite(saved, "config.json", json.dumps(config).encode())
    with pytest.raises(EncoderError, match=r"encoder\.keras"):
        load_model(saved)


def test_an_interrupt_during_a_load_is_one(saved, monkeypatch):
    def interrupted(self, input_shape):
        raise KeyboardInterrupt

    monkeypatch.setattr(ByteCover, "build", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_model(saved)


def test_other_weights_under_the_same_name_are_refused(saved):
    other = saved.with_name("other.keras")
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=2))
    model.build((None, 84, None, 1))
    save_model(model, other, Frontend(), {})
    with zipfile.ZipFile(other) as archive:
        rewrite(saved, "model.weights.h5", archive.read("model.weights.h5"))
    with pytest.raises(EncoderError, match=r"encoder\.keras: does not give the embed"):
        load_model(saved)


def test_a_file_without_a_probe_is_read(saved):
    info = read_info(saved)
    assert len(info.pop("probe")) == 64
    rewrite(saved, "bytecover.json", json.dumps(info).encode())
    assert load_model(saved)[1] == info


def test_a_network_that_hears_notes_comes_back_and_is_no_encoder(tmp_path, rng):
    model = NoteNetwork(3, ((3, 3),), melody_weight=2.0)
    model.build((None, 252, None, 1))
    for variable in model.variables:
        variable.assign(rng.uniform(0.1, 1, variable.shape))
    path = tmp_path / "hearing.keras"
    frontend = Frontend(pool=5, bins_per_octave=36, n_bins=252)
    save_model(model, path, frontend, {"sets": {"a": 1}})
    loaded, info = load_hearing_model(path)
    assert (info["frontend"], info["sets"]) == (frontend.to_dict(), {"a": 1})
    assert loaded.get_config() == model.get_config()
    inputs = rng.random((2, 252, 12, 1)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(loaded(inputs)), np.asarray(model(inputs)))
    reason = r"hearing\.keras: holds a bytecover_tf>NoteNetwork, expected a Byte"
    for load in (load_model, load_encoder, read_info):
        with pytest.raises(EncoderError, match=reason):
            load(path)


def test_an_encoder_hears_no_notes(tmp_path):
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    path = tmp_path / "encoder.keras"
    save_model(model, path, Frontend(), {})
    reason = r"encoder\.keras: holds a bytecover_tf>ByteCover, expected a NoteNetwork"
    with pytest.raises(EncoderError, match=reason):
        load_hearing_model(path)
    with pytest.raises(EncoderError, match=r"none\.keras: no such file"):
        load_hearing_model(tmp_path / "none.keras")


def former_batch():
    """Features and works of which the former checkpoint's training was made."""
    steps = np.arange(8 * 84 * 20).reshape(8, 84, 20, 1)
    return np.abs(np.sin(steps**1.5)).astype(np.float32), np.repeat(np.arange(4), 2)


def test_a_former_checkpoint_embeds_and_trains_as_before():
    """The figures were printed by the code that wrote the file, at commit ecf357c."""
    path = Path(__file__).with_name("former_checkpoint.keras")
    features, works = former_batch()
    embedding = [0.0430356264, 0.0368182324, -0.1469755620, -0.1243940666]
    network, info = load_model(path)
    assert info["num_works"] == 4
    np.testing.assert_allclose(network(features[:1])["f_c"][0], embedding, atol=1e-5)

    learner, _ = load_learner(path)
    assert learner.objective == Objective(label_smoothing=0.1)
    assert int(learner.optimizer.iterations) == 3
    np.testing.assert_allclose(learner(features[:1])["f_c"][0], embedding, atol=1e-5)
    found = learner.train_on_batch(features, works, return_dict=True)
    assert found["classification"] == pytest.approx(1.3842407, abs=1e-4)
    assert found["triplet"] == pytest.approx(0.4146911, abs=1e-4)


def test_a_training_comes_back_with_its_optimiser(tmp_path):
    features, works = former_batch()
    network = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=2))
    learner = Learner(network, Objective(margin=0.5), 4)
    learner.build((None, 84, None, 1))
    learner.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    learner.train_on_batch(features, works)
    path = tmp_path / "checkpoint.keras"
    save_model(learner, path, Frontend(), {"num_works": 4})
    again, info = load_learner(path)
    assert info["num_works"] == 4
    assert again.objective == Objective(margin=0.5)
    for one in (learner, again):
        one.reset_metrics()
    expected = learner.train_on_batch(features, works, return_dict=True)
    assert again.train_on_batch(features, works, return_dict=True) == expected
    # The second step follows from the optimiser's state.
    for ours, theirs in zip(again.variables, learner.variables, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    # As an encoder it is the network alone.
    assert type(load_model(path)[0]) is ByteCover


def test_an_ensemble_is_no_training(saved):
    with zipfile.ZipFile(saved) as archive:
        config = json.loads(archive.read("config.json"))
    config["registered_name"] = "bytecover_tf>Ensemble"
    rewrite(saved, "config.json", json.dumps(config).encode())
    with pytest.raises(EncoderError, match="Ensemble, expected a Learner"):
        load_learner(saved)
