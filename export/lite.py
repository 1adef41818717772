"""LiteRT files (formerly TensorFlow Lite), for phones and small devices.

One file has both signatures of the SavedModel, of which it is made, and takes any
length and batch. It holds built-in operations only, so that the plain runtime reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from export.parity import Run


def convert(saved_model: Path, precision: str) -> bytes:
    """Return a SavedModel as a LiteRT file.

    Args:
        saved_model: a version's folder.
        precision: `float32`; or `int8`, which keeps weights in 8 bits and multiplies
            integers, with the ranges of activations taken anew for each recording.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter.convert()


def runner(path: Path, signature: str, output: str) -> Run:
    """Return the function that runs one signature of a LiteRT file.

    Args:
        path: what `convert` returned, as a file.
        signature: its name; it has one input.
        output: name of the output to return.
    """
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=str(path)).get_signature_runner(signature)
    (name,) = run.get_input_details()
    return lambda batch: run(**{name: batch})[output]
