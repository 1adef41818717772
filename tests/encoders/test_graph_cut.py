import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from bytecover_tf.encoders.graph_cut import cut
from bytecover_tf.encoders.pretrained import WEIGHTS

# Longer than 127 bytes, so that its length takes two.
LONG = "a" * 300


@pytest.fixture
def model():
    """y = max(x, 0) * 2 + (x + 1), where the maximum is named `LONG`."""
    graph = helper.make_graph(
        [
            helper.make_node("Abs", ["x"], ["size"]),
            helper.make_node("Relu", ["x"], [LONG]),
            helper.make_node("Mul", [LONG, "two"], ["doubled"]),
            helper.make_node("Add", ["x", "one"], ["added"]),
            helper.make_node("Add", ["doubled", "added"], ["y"]),
        ],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, "n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 2, "n"])],
        [
            numpy_helper.from_array(np.float32(2), "two"),
            numpy_helper.from_array(np.float32(1), "one"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, {"said": "something"})
    return model


def test_the_tensor_is_read_and_no_longer_made(model):
    found = onnx.load_from_string(cut(model.SerializeToString(), LONG))
    onnx.checker.check_model(found, full_check=True)
    assert [item.name for item in found.graph.input] == ["x", LONG]
    # What nobody needed is gone too.
    assert [node.output[0] for node in found.graph.node] == ["doubled", "added", "y"]
    assert found.graph.output == model.graph.output
    assert found.graph.initializer == model.graph.initializer
    assert found.metadata_props == model.metadata_props
    session = onnxruntime.InferenceSession(
        found.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = np.float32([[[[-1, 0, 4], [5, -6, 7]]]])
    (y,) = session.run(None, {"x": x, LONG: 10 * x})
    np.testing.assert_allclose(y, 20 * x + x + 1)


def test_the_package_s_encoder_is_cut_as_onnx_cuts_it():
    path = WEIGHTS / "bytecover-base" / "encoder_features.onnx"
    whole = onnx.load(path)
    found = onnx.load_from_string(cut(path.read_bytes(), "AvgPool:0"))
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(whole))
    expected = extractor.extract_model(["features", "AvgPool:0"], ["embedding"])
    assert found.graph.node == expected.graph.node
    assert len(found.graph.node) < len(whole.graph.node)


def test_what_cannot_be_cut_is_refused(model):
    content = model.SerializeToString()
    with pytest.raises(ValueError, match="no node makes z"):
        cut(content, "z")
    # Nothing makes an input.
    with pytest.raises(ValueError, match="no node makes x"):
        cut(content, "x")
    with pytest.raises(ValueError, match="it ends in a"):
        cut(content[:-1], LONG)
    for other in (b"", b"\x08\x08"):
        with pytest.raises(ValueError, match="has no graph"):
            cut(other, LONG)
    with pytest.raises(ValueError, match="a field of kind 3"):
        cut(b"{}", LONG)
    with pytest.raises(ValueError, match="it ends in a number"):
        cut(b"\x80", LONG)
