"""ONNX graphs: converted by tf2onnx, then joined, halved or quantised.

Only standard operations of opset 17 are used, so that ONNX Runtime runs them on the
CPU, on CUDA and in a browser.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import compose

from bytecover_tf.encoders.runtimes import METADATA
from bytecover_tf.files import JsonObject

OPSET = 17

# Kept in float32: powers overflow half precision, and the statistics of a whole
# recording lose too many digits in it.
_KEPT = [
    "GlobalAveragePool",
    "Max",
    "Pow",
    "ReduceMean",
    "ReduceSum",
    "Reciprocal",
    "Sqrt",
]
# Layers that hear give so many kinds of probabilities at most.
_FEW_FILTERS = 3
_ARITHMETIC = ("Add", "Sub", "Mul", "Div")


def convert(
    function: Any, batch: str = "batch", length: str = "frames"
) -> onnx.ModelProto:
    """Return a traced function as an ONNX model.

    Args:
        function: a tf.function with an input signature.
        batch: name of the first axis of each end.
        length: name of the input's last axis.
    """
    import tf2onnx

    for name in ("tf2onnx", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=OPSET
    )
    for end in (*model.graph.input, *model.graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = batch
    model.graph.input[0].type.tensor_type.shape.dim[-1].dim_param = length
    last = model.graph.output[0].type.tensor_type.shape.dim[-1]
    if last.dim_param:  # else it has one size, as an embedding has
        last.dim_param = "time"
    return model


def join(transform: onnx.ModelProto, encoder: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph from waveforms: the transform, then the encoder."""
    prefixed = compose.add_prefix(
        transform, "cqt/", rename_inputs=False, rename_outputs=False
    )
    prefixed.ir_version = encoder.ir_version
    return compose.merge_models(
        prefixed, encoder, io_map=[("features", "features")], name="bytecover"
    )


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy with weights in half precision, its ends still float32."""
    from onnxruntime.transformers.onnx_model import OnnxModel

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    wrapped = OnnxModel(copy)
    wrapped.convert_float_to_float16(
        keep_io_types=True,
        op_block_list=_KEPT,
        node_block_list=_before_logarithms(copy.graph),
    )
    # ONNX Runtime 1.31 casts a tensor to float32 once for each node that reads it, all
    # under one name.
    once = {tuple(node.output): node for node in wrapped.model.graph.node}
    wrapped.model.graph.ClearField("node")
    wrapped.model.graph.node.extend(once.values())
    wrapped.topological_sort()
    return wrapped.model


def _before_logarithms(graph: onnx.GraphProto) -> list[str]:
    """Return the names of logarithms and of the nodes that make their values.

    They compress amplitudes, which overflow half precision when they are divided by the
    mean of a recording that is mostly silent.
    """
    makers = {output: node for node in graph.node for output in node.output}
    waiting = [node for node in graph.node if node.op_type == "Log"]
    found: dict[str, None] = {}
    while waiting:
        node = waiting.pop()
        if node.name not in found:
            found[node.name] = None
            # The further inputs of other operations, such as Slice, are no amplitudes.
            values = node.input if node.op_type in _ARITHMETIC else node.input[:1]
            waiting += [makers[name] for name in values if name in makers]
    return list(found)


def to_int8(
    model: onnx.ModelProto, calibration: Sequence[np.ndarray], kept: Sequence[int] = ()
) -> onnx.ModelProto:
    """Return a copy whose convolutions multiply 8-bit integers.

    Weights are signed with a scale for each channel, activations unsigned with a
    fixed range for each tensor (static quantisation): the pair that processors with
    VNNI multiply fastest. Convolutions of three filters or fewer stay as they are: they
    give the probabilities of notes, which 8 bits would spoil, or means of bins, and
    cost next to nothing.

    Args:
        model: the graph from features.
        calibration: feature arrays (n_bins, frames) that set the ranges.
        kept: which others stay as they are, by their places.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._arrays = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            array = next(self._arrays, None)
            return None if array is None else {"features": array[None]}

    kernels = {item.name: item.dims for item in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    precise = [node.name for node in nodes if kernels[node.input[1]][0] <= _FEW_FILTERS]
    precise += [nodes[place].name for place in kept]
    logging.getLogger().setLevel(logging.ERROR)  # it logs through the root
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.onnx", Path(folder) / "target.onnx"
        onnx.save(model, source)
        quantize_static(
            source,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=precise,
        )
        return onnx.load(target)


def write(
    model: onnx.ModelProto, path: Path, info: JsonObject, key: str = METADATA
) -> None:
    """Check a graph and write it with facts about itself.

    Args:
        model: the model to write.
        path: ends in `.onnx`.
        info: JSON that goes into the metadata: frontend, dim, precision, ...
        key: what the metadata calls it.
    """
    model.producer_name = str(info.get("producer", ""))
    model.producer_version = str(info.get("version", ""))
    model.doc_string = str(info.get("documentation", ""))
    onnx.helper.set_model_props(model, {key: json.dumps(info)})
    # Shapes between the ends, which runtimes infer themselves. Stricter ones than ONNX
    # Runtime, such as tract, take `batch` in them for another number than that asked.
    model.graph.ClearField("value_info")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
