"""Whether ONNX Runtime has a CUDA kernel for every node, so that none runs on the CPU.

What kernels there are is published in ONNX Runtime's docs/OperatorKernels.md; below are
those for opset 17, by the type of what each operation mainly reads. Only the operations
that exports use are listed. Integers compute shapes.
"""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bytecover_tf.encoders import pretrained
from export.onnx_graphs import OPSET

REAL = {TensorProto.FLOAT, TensorProto.FLOAT16}
WHOLE = {TensorProto.INT32, TensorProto.INT64}
BITS = {TensorProto.BOOL}
BYTES = {TensorProto.INT8, TensorProto.UINT8}
ANYTHING = REAL | WHOLE | BITS | BYTES
KERNELS = {
    **dict.fromkeys(
        ("Cast", "Concat", "Reshape", "Shape", "Slice", "Split", "Squeeze"), ANYTHING
    ),
    **dict.fromkeys(("Transpose", "Unsqueeze"), ANYTHING),
    **dict.fromkeys(("AveragePool", "Conv", "GlobalAveragePool", "MatMul"), REAL),
    **dict.fromkeys(("Log", "Reciprocal", "Relu", "Sigmoid", "Sqrt"), REAL),
    **dict.fromkeys(
        ("Abs", "Add", "Div", "Mul", "Neg", "Sub", "Pow", "Max"), REAL | WHOLE
    ),
    **dict.fromkeys(("Greater", "Less", "Min", "ReduceMax", "ReduceSum"), REAL | WHOLE),
    "ReduceMean": REAL | {TensorProto.INT32},
    "Equal": REAL | WHOLE | BITS,
    "Pad": REAL | BITS,
    "MaxPool": REAL | BYTES,
    "And": BITS,
    # What it chooses from.
    "Where": REAL | WHOLE | {TensorProto.UINT8},
    "QuantizeLinear": {TensorProto.FLOAT},
    "DequantizeLinear": BYTES,
}


def without_kernel(graph):
    """The operations of a graph, and types, that CUDA has no kernel for."""
    assert {item.domain: item.version for item in graph.opset_import}[""] == OPSET
    graph = onnx.shape_inference.infer_shapes(graph, strict_mode=True).graph
    ends = (*graph.value_info, *graph.input, *graph.output)
    types = {end.name: end.type.tensor_type.elem_type for end in ends}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    found = set()
    for node in graph.node:
        kind = types[node.input[1 if node.op_type == "Where" else 0]]
        if kind not in KERNELS.get(node.op_type, ()):
            found.add((node.op_type, TensorProto.DataType.Name(kind)))
    return found


@pytest.mark.parametrize("source", ["features", "waveform"])
@pytest.mark.parametrize(
    ("suffix", "missing"),
    [
        ("", set()),
        ("_float16", set()),
        # The biases of 8-bit convolutions, so int8 is for CPUs.
        ("_int8", {("DequantizeLinear", "INT32")}),
    ],
)
def test_of_a_bundle(bundle, source, suffix, missing):
    graph = onnx.load(bundle / f"encoder_{source}{suffix}.onnx")
    assert without_kernel(graph) == missing


@pytest.mark.parametrize("name", pretrained.pretrained_names())
def test_of_the_encoders_of_the_package(name):
    path = pretrained.WEIGHTS / name / "encoder_features.onnx"
    assert without_kernel(onnx.load(path)) == set()


def test_what_is_missing_is_found():
    indices = numpy_helper.from_array(np.zeros(2, np.int64), "pads")
    ends = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n"]) for name in "ab"
    ]
    node = helper.make_node("Pad", ["a", "pads"], ["b"])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [indices])
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset])
    assert without_kernel(model) == {("Pad", "INT64")}
