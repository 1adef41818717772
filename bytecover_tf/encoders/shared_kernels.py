"""Kernels that a `.keras` file leaves to the ONNX file beside it.

An encoder of the package lies there twice: as ONNX to be run, and as `.keras` to be
trained on. Nearly all of both are the same kernels, which the ONNX file holds as
float16 (see `export.compact`). So the `.keras` file says where they are. In their place
it has NaN, which compresses to nothing and which nobody takes for weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from bytecover_tf.errors import EncoderError
from bytecover_tf.files import JsonObject

# Keras has the output channels of a convolution last, ONNX has them first.
_TO_ONNX, _TO_KERAS = (3, 2, 0, 1), (2, 3, 1, 0)
# Smaller weights are not worth a line.
_LEAST = 4096
_HALF = np.dtype("<f2")


def leave_out(variables: Sequence[Any], graph: Path) -> JsonObject:
    """Set to NaN what an ONNX file holds, and return where it is.

    Args:
        variables: of a Keras model.
        graph: the ONNX file that was made of it.

    Returns:
        What `put_back` needs, ready for JSON.
    """
    content = graph.read_bytes()
    places = []
    for number, variable in enumerate(variables):
        value = np.asarray(variable)
        half = value.astype(_HALF)
        if value.size < _LEAST or not np.array_equal(half, value):
            continue
        place = content.find(
            (half.transpose(_TO_ONNX) if half.ndim == 4 else half).tobytes()
        )
        if place >= 0:
            places.append([number, place])
            variable.assign(np.full_like(value, np.nan))
    return {
        "file": graph.name,
        "sha256": sha256(content).hexdigest(),
        "places": places,
    }


def put_back(variables: Sequence[Any], kernels: JsonObject, path: Path) -> None:
    """Fill in what `leave_out` left to an ONNX file.

    Args:
        variables: of the Keras model.
        kernels: what `leave_out` returned.
        path: the `.keras` file, beside which the ONNX file lies.

    Raises:
        EncoderError: there is no such ONNX file, or it is another one.
    """
    graph = path.with_name(kernels["file"])
    try:
        content = graph.read_bytes()
    except OSError as error:
        raise EncoderError(
            f"{path}: its kernels are in {graph.name}, which must lie beside it "
            f"({error.strerror})"
        ) from None
    if sha256(content).hexdigest() != kernels["sha256"]:
        raise EncoderError(f"{graph}: not the file that holds the kernels of {path}")
    for number, place in kernels["places"]:
        shape = tuple(variables[number].shape)
        is_convolution = len(shape) == 4
        stored = tuple(shape[axis] for axis in _TO_ONNX) if is_convolution else shape
        half = np.frombuffer(content, _HALF, math.prod(shape), place).reshape(stored)
        value = half.transpose(_TO_KERAS) if is_convolution else half
        variables[number].assign(value.astype(np.float32))
