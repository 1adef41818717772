import json
import shutil

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from bytecover_tf.audio.hearing import DEFAULT_HEARING, METADATA, Hearing
from bytecover_tf.encoders.model_file import load_hearing_model, save_model
from bytecover_tf.errors import ConfigError, EncoderError
from bytecover_tf.models.note_network import NoteNetwork
from bytecover_tf.stores.labelled_store import FRONTENDS
from export import hearing
from export.__main__ import main
from export.hearing import export_hearing_file
from export.parity import ParityError


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A small network whose normalisations are not trivial."""
    keras.utils.set_random_seed(0)
    model = NoteNetwork(3, ((3, 3), (5, 1)))
    model.build((None, 252, None, 1))
    rng = np.random.default_rng(0)
    for variable in model.variables:
        name = variable.path.rsplit("/", 1)[-1]
        if name in ("moving_variance", "gamma"):
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        elif name in ("moving_mean", "beta", "bias"):
            variable.assign(rng.normal(0, 0.2, variable.shape))
    path = tmp_path_factory.mktemp("hearing") / "hearing.keras"
    info = {"request": {"steps": 7}, "sets": {"a": {}}, "held_out": {"loss": 0.5}}
    save_model(model, path, FRONTENDS["cqt36"], info)
    return path


@pytest.fixture(scope="module")
def hearing_file(source):
    path = source.with_suffix(".onnx")
    assert main(["--hearing", str(source), "--out", str(path)]) == 0
    return path


def expected_of(source, magnitudes):
    """What the model hears: (batch, 3, 84, frames / 2)."""
    model, _ = load_hearing_model(source)
    logits = np.asarray(model(magnitudes[..., None], training=False), np.float64)
    return np.moveaxis(1 / (1 + np.exp(-logits)), 3, 1)


def run(path, magnitudes):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"magnitudes": magnitudes})
    return found


@pytest.mark.parametrize(("batch", "frames"), [(1, 2), (2, 38), (5, 400)])
def test_the_file_hears_what_the_model_hears(source, hearing_file, rng, batch, frames):
    magnitudes = rng.gamma(0.3, 3, (batch, 252, frames)).astype(np.float32)
    found = run(hearing_file, magnitudes)
    assert found.shape == (batch, 3, 84, frames // 2)
    expected = expected_of(source, magnitudes)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected) > 0.01


def test_the_shipped_file_is_that_of_the_shipped_model(rng):
    magnitudes = rng.gamma(0.3, 3, (2, 252, 90)).astype(np.float32)
    shipped = DEFAULT_HEARING.path
    expected = expected_of(shipped.replace(".onnx", ".keras"), magnitudes)
    np.testing.assert_allclose(run(shipped, magnitudes), expected, atol=1e-4)


def test_it_is_a_hearing_of_the_package(source, hearing_file, rng):
    heard = Hearing(str(hearing_file))
    assert heard.pool == FRONTENDS["cqt36"].pool
    assert heard.transform.n_bins == 252
    assert heard.transform.bins_per_octave == 36
    magnitudes = rng.gamma(0.3, 3, (252, 60)).astype(np.float32)
    relative = magnitudes[None] / magnitudes.mean()
    np.testing.assert_allclose(
        heard.hear(magnitudes), expected_of(source, relative)[0], atol=1e-5
    )


def test_the_file_says_what_it_was_made_of(hearing_file):
    (record,) = onnx.load(hearing_file).metadata_props
    assert record.key == METADATA
    facts = json.loads(record.value)
    assert facts["frontend"] == FRONTENDS["cqt36"].to_dict()
    assert facts["request"] == {"steps": 7}
    assert (facts["sets"], facts["held_out"]) == ({"a": {}}, {"loss": 0.5})
    assert "tf2onnx" in facts["versions"]


def test_a_file_that_differs_is_not_written(
    source, hearing_file, tmp_path, monkeypatch
):
    path = tmp_path / "hearing.onnx"
    shutil.copy(hearing_file, path)
    before = path.read_bytes()
    convert = hearing.convert

    def convert_badly(function):
        model = convert(function)
        for weights in model.graph.initializer:
            values = onnx.numpy_helper.to_array(weights)
            if values.dtype == np.float32 and values.size > 50:
                changed = onnx.numpy_helper.from_array(values * 1.02, weights.name)
                weights.CopyFrom(changed)
        return model

    monkeypatch.setattr(hearing, "convert", convert_badly)
    with pytest.raises(ParityError, match=r"hearing\.onnx: differs .* by 0\.0"):
        export_hearing_file(source, path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["hearing.onnx"]


def test_wrong_files_are_refused_by_name(source, encoder_path, tmp_path, capsys):
    out = tmp_path / "hearing.onnx"
    with pytest.raises(EncoderError, match=r"encoder\.keras: holds a .*ByteCover, exp"):
        main(["--hearing", str(encoder_path), "--out", str(out)])
    with pytest.raises(EncoderError, match=r"none\.keras: no such file"):
        main(["--hearing", str(tmp_path / "none.keras"), "--out", str(out)])
    asked = ["--hearing", str(source), "--out", str(out)]
    with pytest.raises(
        ConfigError, match=r"--precision is for folders; .*hearing\.onnx"
    ):
        main([*asked, "--precision", "float32,int8"])
    with pytest.raises(SystemExit):
        main([*asked, "--encoder", str(encoder_path)])
    assert "not allowed with argument --hearing" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_network_that_hears_nothing_but_nan_is_refused(source, tmp_path):
    model, info = load_hearing_model(source)
    broken = tmp_path / "broken.keras"
    model.variables[0].assign(np.full(model.variables[0].shape, np.nan))
    save_model(model, broken, FRONTENDS["cqt36"], info)
    out = tmp_path / "hearing.onnx"
    with pytest.raises(ParityError, match="differs from the model by nan"):
        export_hearing_file(broken, out)
    assert not out.exists()
