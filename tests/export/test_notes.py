import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bytecover_tf import load_encoder
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.encoders.hearing_network import HearingNetwork
from bytecover_tf.encoders.model_file import load_model, save_model
from bytecover_tf.encoders.notes import hears_as_the_package, take_hearing
from bytecover_tf.encoders.pretrained import WEIGHTS
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.ensemble import Ensemble
from export.bundle import export
from export.notes import notes_tensor

FRONTEND = Frontend(n_bins=252, bins_per_octave=36, pool=5, estimated=True)
SMALL = {"blocks": (1, 1, 1, 1), "width": 4, "pitch_classes": True}


@pytest.fixture(scope="module")
def model():
    """A small network with the package's ears."""
    model = ByteCover(Architecture(**SMALL, heard=24))
    model.build((None, 252, None, 1))
    take_hearing(model)
    return model


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    save_model(model, folder / "encoder.keras", FRONTEND, {})
    export(folder / "encoder.keras", folder / "bundle", ("onnx",), ("features",))
    return folder / "bundle"


def test_a_bundle_says_where_its_notes_are(bundle, rng):
    (graph,) = json.loads((bundle / "manifest.json").read_text())["files"]
    assert graph["notes"]["hearing"] == DEFAULT_HEARING.checksum
    assert graph["notes"]["parity"]["min_cosine"] > 0.99999
    encoder = load_encoder(bundle)
    assert isinstance(encoder._network, HearingNetwork)
    # A graph by itself hears with its own ears.
    alone = load_encoder(bundle / graph["path"])
    assert not isinstance(alone._network, HearingNetwork)
    features = [rng.random((252, frames)).astype(np.float32) ** 4 for frames in (9, 90)]
    found, expected = (one.embed_features(features) for one in (encoder, alone))
    assert (found * expected).sum(axis=1).min() > 0.99999


@pytest.mark.parametrize("is_same", [True, False])
def test_only_ears_of_the_same_checksum_are_shared(bundle, tmp_path, is_same):
    copy = tmp_path / "bundle"
    copy.mkdir()
    facts = json.loads((bundle / "manifest.json").read_text())
    if not is_same:
        facts["files"][0]["notes"]["hearing"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(facts))
    name = facts["files"][0]["path"]
    (copy / name).write_bytes((bundle / name).read_bytes())
    assert isinstance(load_encoder(copy)._network, HearingNetwork) == is_same


def test_the_package_s_manifest_is_true():
    folder = WEIGHTS / "bytecover-base"
    (graph,) = json.loads((folder / "manifest.json").read_text())["files"]
    assert graph["notes"]["tensor"] == notes_tensor(onnx.load(folder / graph["path"]))
    assert graph["notes"]["hearing"] == DEFAULT_HEARING.checksum
    assert hears_as_the_package(load_model(folder / "encoder.keras")[0])
    assert isinstance(load_encoder("bytecover-base")._network, HearingNetwork)


def test_other_ears_are_told_apart(model):
    assert hears_as_the_package(model)
    rounded = model.encoder()
    network = rounded.heard.network
    network.set_weights(
        [
            weight.astype(np.float16).astype(np.float32)
            for weight in model_weights(model)
        ]
    )
    assert hears_as_the_package(rounded)
    assert hears_as_the_package(Ensemble([rounded, deaf_model()]))
    # Two networks that hear have two tensors of notes.
    assert not hears_as_the_package(Ensemble([rounded, model]))
    assert not hears_as_the_package(deaf_model())
    network.set_weights([1.01 * weight for weight in model_weights(model)])
    assert not hears_as_the_package(rounded)


def model_weights(model):
    return model.heard.network.get_weights()


def deaf_model():
    model = ByteCover(Architecture(**SMALL, semitones=4))
    model.build((None, 252, None, 1))
    return model


def test_a_graph_without_notes_is_refused():
    graph = helper.make_graph(
        [helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[1, 2])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 84, "n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 84, "n"])],
    )
    with pytest.raises(ValueError, match="one mean of probabilities, found 0"):
        notes_tensor(helper.make_model(graph))
