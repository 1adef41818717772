"""ONNX files of half the size that compute the same to the last bit.

The weights of a published encoder are float16 numbers, but a batch normalisation
multiplied into them makes them float32. Here the file holds both factors, and the graph
multiplies them. A runtime that folds constants does so once, when it loads the file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Weights of fewer values stay as they are.
_LEAST = 4096


def compact(model: onnx.ModelProto, kernels: Sequence[np.ndarray]) -> onnx.ModelProto:
    """Return a copy that holds large weights as float16 where that loses nothing.

    Args:
        model: a float32 graph.
        kernels: the network's own weights, output channels last. What the graph holds
            is each of them times a scale per channel.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    halves = [half for kernel in kernels if (half := _as_half(kernel)) is not None]
    nodes, tensors = [], []
    for tensor in model.graph.initializer:
        product = _product(tensor, halves)
        if product is None:
            tensors.append(tensor)
        else:
            nodes += product[0]
            tensors += product[1]
    copy.graph.ClearField("initializer")
    copy.graph.initializer.extend(tensors)
    copy.graph.ClearField("node")
    copy.graph.node.extend([*nodes, *model.graph.node])
    return copy


def _as_half(kernel: np.ndarray) -> np.ndarray | None:
    """Return a large kernel as float16, or None if that changes it."""
    with np.errstate(over="ignore"):
        half = kernel.astype(np.float16)
    is_exact = np.array_equal(half.astype(kernel.dtype), kernel)
    return half if is_exact and kernel.size >= _LEAST else None


def _product(
    tensor: onnx.TensorProto, halves: Sequence[np.ndarray]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]] | None:
    """Return the nodes and tensors that make a weight, or None if no kernel does."""
    if tensor.data_type != TensorProto.FLOAT:
        return None
    weight = numpy_helper.to_array(tensor)
    # ONNX has the output channels of a convolution first.
    is_convolution = weight.ndim == 4
    last = weight.transpose(2, 3, 1, 0) if is_convolution else weight
    for half in halves:
        scale = _scale(half, last) if half.shape == last.shape else None
        if scale is None:
            continue
        if is_convolution:
            half, scale = half.transpose(3, 2, 0, 1), scale[:, None, None, None]
        names = [f"{tensor.name}/{part}" for part in ("half", "kernel", "scale")]
        nodes = [
            helper.make_node("Cast", names[:1], names[1:2], to=TensorProto.FLOAT),
            helper.make_node("Mul", names[1:], [tensor.name]),
        ]
        tensors = [
            numpy_helper.from_array(np.ascontiguousarray(half), names[0]),
            numpy_helper.from_array(scale, names[2]),
        ]
        return nodes, tensors
    return None


def _scale(half: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """Return the scale per channel whose product is the weight, or None."""
    kernel = half.astype(np.float32).reshape(-1, half.shape[-1])
    weight = weight.reshape(kernel.shape)
    rows, channels = np.abs(kernel).argmax(axis=0), np.arange(kernel.shape[1])
    largest = kernel[rows, channels]
    near = np.divide(
        weight[rows, channels], largest, np.ones_like(largest), where=largest != 0
    )
    # The weight was rounded, so the scale may be a neighbour of the quotient.
    below, above = np.float32(-np.inf), np.float32(np.inf)
    low, high = np.nextafter(near, below), np.nextafter(near, above)
    scale = np.full_like(near, np.nan)
    for tried in (np.nextafter(low, below), low, np.nextafter(high, above), high, near):
        fits = (kernel * tried == weight).all(axis=0)
        scale = np.where(fits, tried, scale)
    return None if np.isnan(scale).any() else scale
