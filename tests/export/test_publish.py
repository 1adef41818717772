import shutil

import keras
import numpy as np
import onnx
import pytest

from bytecover_tf import load_encoder
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.encoders import pretrained
from bytecover_tf.encoders.model_file import (
    encoder_checksum,
    encoder_file,
    load_model,
    save_model,
)
from bytecover_tf.errors import ConfigError, EncoderError
from export.publish import publish


@pytest.fixture(scope="module")
def original(make_model, tmp_path_factory):
    """A folder with an encoder, a card, and what publishing makes of them."""
    folder = tmp_path_factory.mktemp("published")
    model = make_model(salience=3, input_power=0.5)
    trained = {"data": "drawn", "works": ["a"], "content": ["b"]}
    init = {"path": "/home/somebody/init.keras", "trained_on": trained}
    facts = {"trained_on": trained, "init": init, "teacher": init, "seed": 3}
    part = {"trained_on": trained, "init": init}
    facts["members"] = [part, {"averaged": [part], "trained_on": trained}]
    save_model(model, folder / "encoder.keras", Frontend(pool=20), facts)
    (folder / "card.md").write_text("# A card")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "WEIGHTS", folder / "weights")
        publish(folder / "encoder.keras", "bytecover-toy", folder / "card.md")
    return folder


@pytest.fixture
def published(original, tmp_path, monkeypatch):
    """The published encoder in a copy of that folder, as if it were the package's."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "weights" / "bytecover-toy"


def test_a_published_encoder_has_a_name(published, tmp_path, rng):
    assert pretrained.pretrained_names() == ["bytecover-toy"]
    features = [rng.random((84, n)).astype(np.float32) for n in (3, 30)]
    expected = load_encoder(tmp_path / "encoder.keras").embed_features(features)
    encoder = load_encoder("bytecover-toy")
    found = encoder.embed_features(features)
    # Rounded to float16.
    assert np.all((found * expected).sum(axis=1) > 0.9999)
    assert encoder.frontend == Frontend(pool=20)
    assert encoder.info["seed"] == 3
    # Where it was made is nobody's affair.
    nameless = {"path": "init.keras", "trained_on": None}
    assert encoder.info["init"] == encoder.info["teacher"] == nameless
    member, mean = encoder.info["members"]
    for part in (member, *mean["averaged"]):
        assert part["init"] == nameless
        assert part["trained_on"]["works"] == {"drawn": []}
    # The file to train on from is the same encoder.
    keras_file = encoder_file("bytecover-toy")
    again = load_encoder(keras_file)
    np.testing.assert_allclose(again.embed_features(features), found, atol=2e-4)
    assert keras_file.stat().st_size < (tmp_path / "encoder.keras").stat().st_size
    assert Identity.of(encoder, "bytecover-toy") == Identity.of(again, keras_file)


def test_its_graph_holds_float16(published):
    path = published / "encoder_features.onnx"
    sizes = {onnx.TensorProto.FLOAT16: 0, onnx.TensorProto.FLOAT: 0}
    for tensor in onnx.load(path).graph.initializer:
        if tensor.data_type in sizes:
            sizes[tensor.data_type] += int(np.prod(tensor.dims))
    half, single = sizes.values()
    assert half > 3 * single


def test_publishing_anew_keeps_identity_and_calibration(published, tmp_path):
    fitted = published / "calibration.json"
    fitted.write_text("{}")
    identity = Identity.of(load_encoder("bytecover-toy"), "bytecover-toy")
    model, info = load_model(published / "encoder.keras")
    publish("bytecover-toy", "bytecover-toy", tmp_path / "card.md")
    assert Identity.of(load_encoder("bytecover-toy"), "bytecover-toy") == identity
    again, same = load_model(published / "encoder.keras")
    assert same == info
    for ours, theirs in zip(again.variables, model.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    assert fitted.exists()


def test_both_files_share_their_kernels(published, tmp_path):
    path, graph = published / "encoder.keras", published / "encoder_features.onnx"
    model, info = load_model(path)
    assert path.stat().st_size < graph.stat().st_size / 2
    # As Keras itself reads it, most is missing, and what it embeds is no number.
    alone = keras.saving.load_model(path)
    weights = [np.asarray(weight) for weight in alone.variables]
    missing = sum(weight.size for weight in weights if np.isnan(weight).any())
    assert missing > 0.7 * sum(weight.size for weight in weights)
    # What is saved of it is whole, and another encoder.
    save_model(model, tmp_path / "whole.keras", Frontend(pool=20), info)
    whole = keras.saving.load_model(tmp_path / "whole.keras")
    for ours, theirs in zip(whole.variables, model.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    assert encoder_checksum(tmp_path / "whole.keras") != encoder_checksum(path)
    assert encoder_checksum(path) == load_encoder(published).info["encoder_sha256"]


def test_a_file_without_its_kernels_says_where_they_are(published, tmp_path):
    path, graph = published / "encoder.keras", published / "encoder_features.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    with pytest.raises(EncoderError, match=r"onnx: not the file that holds the kernel"):
        load_model(path)
    graph.unlink()
    with pytest.raises(
        EncoderError, match=r"kernels are in encoder_features\.onnx, wh"
    ):
        load_model(path)


def test_a_damaged_encoder_is_refused_whatever_has_its_name(published, tmp_path):
    with open(published / "encoder_features.onnx", "ab") as file:
        file.write(b"x")
    with pytest.raises(EncoderError, match=r"features.onnx: missing or damaged"):
        load_encoder("bytecover-toy")
    (tmp_path / "bytecover-toy").mkdir()
    with pytest.raises(EncoderError, match=r"features.onnx: missing or damaged"):
        load_encoder("bytecover-toy")
    assert pretrained.locate("./bytecover-toy").resolve() == tmp_path / "bytecover-toy"


def test_only_what_the_weights_need_has_a_checksum(published, tmp_path):
    (published / "calibration.json").write_text("{}")
    publish(tmp_path / "encoder.keras", "bytecover-other", tmp_path / "card.md")
    sums = (published.parent / "SHA256SUMS").read_text().splitlines()
    assert sorted(line.split()[1] for line in sums) == [
        f"bytecover-{name}/{file}"
        for name in ("other", "toy")
        for file in ("encoder.keras", "encoder_features.onnx", "manifest.json")
    ]


def test_what_is_no_name_is_a_path(tmp_path):
    assert pretrained.locate(tmp_path) == tmp_path
    with pytest.raises(EncoderError, match="bytecover-none"):
        load_encoder("bytecover-none.keras")


@pytest.mark.parametrize("name", ["", ".", "hearing", "../elsewhere", "bytecover-a/b"])
def test_only_encoders_are_replaced(published, tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="is no name for an encoder"):
        publish(tmp_path / "encoder.keras", name, tmp_path / "card.md")
    with pytest.raises(ConfigError, match=r"none\.md: there is no such file"):
        publish(tmp_path / "encoder.keras", "bytecover-new", tmp_path / "none.md")
    assert sorted(tmp_path.rglob("*")) == before
