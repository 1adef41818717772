"""A network with the inputs and outputs of Basic Pitch whose answers are known."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write(path):
    """Write a network that hears |sample| at each frame's centre, capped at 1.

    Every pitch sounds with that probability and begins with half of it.
    """
    constants = {
        "from": np.array([0]),
        "to": np.array([43844]),
        "axis": np.array([1]),
        "step": np.array([256]),
        "pitches": np.array([1, 1, 88]),
        "low": np.float32(0),
        "high": np.float32(1),
        "half": np.float32(0.5),
    }
    notes, onsets = "StatefulPartitionedCall:1", "StatefulPartitionedCall:2"
    samples = "serving_default_input_2:0"
    graph = helper.make_graph(
        [
            helper.make_node("Slice", [samples, "from", "to", "axis", "step"], ["x"]),
            helper.make_node("Abs", ["x"], ["loud"]),
            helper.make_node("Clip", ["loud", "low", "high"], ["capped"]),
            helper.make_node("Tile", ["capped", "pitches"], [notes]),
            helper.make_node("Mul", [notes, "half"], [onsets]),
        ],
        "toy",
        [helper.make_tensor_value_info(samples, TensorProto.FLOAT, ["n", 43844, 1])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 172, 88])
            for name in (notes, onsets)
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
