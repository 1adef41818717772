import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from bytecover_tf.audio.frontend import Frontend
from export.compact import compact
from export.graphs import Graphs
from export.onnx_graphs import convert


def run(graph, features):
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"features": features})[0]


def test_it_is_half_as_large_and_gives_the_same_bits(make_model, rng):
    model = make_model(width=16, salience=8, embedding_dim=96)
    for variable in model.variables:
        rounded = np.asarray(variable).astype(np.float16)
        variable.assign(rounded.astype(np.float32))
    graph = convert(Graphs(model, Frontend()).network)
    weights = [np.asarray(weight) for weight in model.trainable_variables]
    small = compact(graph, weights)
    onnx.checker.check_model(small, full_check=True)
    assert small.ByteSize() < 0.6 * graph.ByteSize()
    features = rng.random((2, 84, 31)).astype(np.float32)
    np.testing.assert_array_equal(run(small, features), run(graph, features))


@pytest.fixture
def multiplication():
    def make(weight):
        shapes = {"features": ["n", len(weight)], "embedding": ["n", weight.shape[1]]}
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]
        node = helper.make_node("MatMul", ["features", "weight"], ["embedding"])
        constant = numpy_helper.from_array(weight, "weight")
        graph = helper.make_graph([node], "g", ends[:1], ends[1:], [constant])
        opset = helper.make_opsetid("", 17)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)

    return make


def is_compacted(graph):
    return [node.op_type for node in graph.graph.node] == ["Cast", "Mul", "MatMul"]


def test_channels_of_zeros_and_small_products_are_kept(multiplication, rng):
    kernel = rng.normal(size=(100, 60)).astype(np.float16).astype(np.float32)
    kernel[:, 7] = 0
    scale = rng.uniform(1e-30, 3e-30, 60).astype(np.float32)
    scale[3] = -1
    graph = compact(multiplication(kernel * scale), [kernel])
    assert is_compacted(graph)
    features = rng.random((1, 100)).astype(np.float32)
    expected = run(multiplication(kernel * scale), features)
    np.testing.assert_array_equal(run(graph, features), expected)


@pytest.mark.parametrize("change", ["weight", "kernel", "range"])
def test_what_would_lose_a_bit_stays_as_it_is(multiplication, rng, change):
    kernel = rng.normal(size=(100, 60)).astype(np.float16).astype(np.float32)
    weight = kernel * rng.uniform(1, 2, 60).astype(np.float32)
    assert is_compacted(compact(multiplication(weight), [kernel]))
    if change == "weight":
        weight[5, 9] = np.nextafter(weight[5, 9], np.float32(9))
    elif change == "kernel":
        kernel[5, 9] += 1e-6
        weight = kernel * np.float32(2)
    else:
        kernel[5, 9] = 1e5
        weight = kernel * np.float32(2)
    graph = multiplication(weight)
    assert compact(graph, [kernel]) == graph
