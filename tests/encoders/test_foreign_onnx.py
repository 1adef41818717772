import json

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, helper

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.foreign_onnx import ForeignOnnxNetwork
from bytecover_tf.errors import ConfigError, EncoderError
from bytecover_tf.evaluate import main as evaluate

FRONTEND = {"pool": 20, "normalization": "none"}


def write_graph(path, shape, reduced, name="cqt"):
    """A graph that means over some axes, with a useless first output."""
    x = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    nodes = [
        helper.make_node("Shape", [name], ["size"]),
        helper.make_node("ReduceMean", [name], ["vector"], axes=reduced, keepdims=0),
    ]
    outputs = [
        helper.make_tensor_value_info("size", TensorProto.INT64, [len(shape)]),
        helper.make_tensor_value_info("vector", TensorProto.FLOAT, None),
    ]
    graph = helper.make_graph(nodes, "foreign", [x], outputs)
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def describe(path, **facts):
    path.with_suffix(".json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("shape", "axes", "reduced"),
    [
        (["n", 1, 84, "t"], None, [1, 3]),
        (["n", 84, "t"], None, [2]),
        (["n", "t", 84], ["batch", "frames", "bins"], [1]),
        (["n", "t", 84, 1], ["batch", "frames", "bins", "channel"], [1, 3]),
    ],
)
def test_features_reach_the_network_in_its_order(tmp_path, rng, shape, axes, reduced):
    path = tmp_path / "system.onnx"
    write_graph(path, shape, reduced)
    facts = {} if axes is None else {"axes": axes}
    describe(path, frontend=FRONTEND, output="vector", **facts)
    encoder = load_encoder(path)
    assert encoder.frontend == Frontend(**FRONTEND)
    assert encoder.dim == 84
    features = [rng.random((84, frames)) for frames in (30, 41)]
    found = encoder.embed_features(features)
    expected = np.stack([array.mean(axis=1) for array in features])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "axes", "reduced"),
    [
        ([1, 1, 84, "t"], None, [1, 3]),
        (["t", 1, 84], ["frames", "batch", "bins"], [0]),
    ],
)
def test_batches_may_be_of_one_recording(tmp_path, rng, shape, axes, reduced):
    path = tmp_path / "system.onnx"
    write_graph(path, shape, reduced)
    facts = {} if axes is None else {"axes": axes}
    describe(path, frontend=FRONTEND, output="vector", **facts)
    features = [rng.random((84, frames)) for frames in (30, 30, 41)]
    found = load_encoder(path).embed_features(features)
    expected = np.stack([array.mean(axis=1) for array in features])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_other_fixed_batches_are_refused(tmp_path):
    path = tmp_path / "system.onnx"
    write_graph(path, [4, 1, 84, "t"], [1, 3])
    describe(path, output="vector")
    with pytest.raises(
        EncoderError, match="any number of recordings, or of 1, found 4"
    ):
        load_encoder(path)


@pytest.fixture
def of_waveforms(tmp_path):
    """A network of samples: their norms of two kinds, and how many there are."""
    path = tmp_path / "system.onnx"
    x = helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["n", "s"])
    y = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 2])
    nodes = [
        helper.make_node("ReduceL1", ["audio"], ["a"], axes=[1], keepdims=1),
        helper.make_node("ReduceL2", ["audio"], ["b"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["a", "b"], ["z"], axis=1),
    ]
    graph = helper.make_graph(nodes, "foreign", [x], [y])
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    describe(path, input="waveform")
    return path


def test_a_network_of_waveforms(of_waveforms, music, monkeypatch):
    tried = []
    call = ForeignOnnxNetwork.__call__
    monkeypatch.setattr(
        ForeignOnnxNetwork, "__call__", lambda self, x: tried.append(x) or call(self, x)
    )
    encoder = load_encoder(of_waveforms)
    # Three minutes show the size of an embedding.
    assert [x.shape for x in tried] == [(1, 186 * 22050)]
    samples = music(5)
    (found,) = encoder.embed_waveforms([samples])
    expected = np.array([np.abs(samples).sum(), np.linalg.norm(samples)])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), rtol=1e-4)


def test_a_network_of_waveforms_is_measured(of_waveforms, music, tmp_path, capsys):
    rows = ["work,path,id"]
    for number in range(4):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, music(5, seed=number // 2), 22050)
        rows.append(f"{number // 2},{path.name},{number}")
    (tmp_path / "bad.wav").write_text("no music")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join([*rows, "0,bad.wav,bad"]))
    out = tmp_path / "figures.json"
    asked = ["--encoder", str(of_waveforms), "--data", "manifest"]
    asked += ["--data-root", str(manifest), "--split", "all", "--json", str(out)]
    assert evaluate([*asked]) == 1
    figures = json.loads(out.read_text())
    assert (figures["queries"], figures["references"], figures["skipped"]) == (4, 4, 1)
    assert 0 < figures["map"] <= 1
    assert not figures["leakage_checked"]
    said = capsys.readouterr().err
    assert "bad.wav" in said
    assert "2 of 5 recordings are copies" in said
    assert "does not say all that it was trained on" in said
    with pytest.raises(ConfigError, match=r"system\.onnx reads waveforms"):
        evaluate([*asked, "--align", "2"])


def test_a_catalogue_needs_features(of_waveforms):
    with pytest.raises(EncoderError, match=r"system\.onnx: reads waveforms only"):
        Identity.of(load_encoder(of_waveforms), of_waveforms)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"fronted": {}}, "expected axes, frontend, input, output, found fronted"),
        ({"frontend": {"pools": 3}}, "frontend: Frontend: unknown parameters"),
        ({"input": "audio"}, "features or waveform, found 'audio'"),
        ({"input": ["features"]}, "features or waveform, found "),
        ({"axes": ["batch", 1, "bins", "frames"]}, "axes for an input of rank 4"),
        ({"axes": ["batch", "bins"]}, "axes for an input of rank 4"),
        ({"output": "embedding"}, "one of size, vector, found 'embedding'"),
        ({"axes": ["bins", "batch", "channel", "frames"]}, "does not run"),
        ({}, "an embedding of shape"),
    ],
)
def test_descriptions_that_do_not_fit(tmp_path, facts, message):
    path = tmp_path / "system.onnx"
    write_graph(path, ["n", 1, 84, "t"], [1, 3])
    describe(path, **facts)
    with pytest.raises(EncoderError, match=message):
        load_encoder(path)


def test_without_a_description_it_is_refused(tmp_path):
    path = tmp_path / "system.onnx"
    write_graph(path, ["n", 1, 84, "t"], [1, 3])
    with pytest.raises(EncoderError, match="not exported by this package"):
        load_encoder(path)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(EncoderError, match=r"system\.json"):
        load_encoder(path)
