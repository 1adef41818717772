"""Where the notes are in a graph that hears as the package does.

An encoder that reads heard notes hears them in its graph, so that any runtime can run
it. The package hears recordings anyway, and gives the graph these notes instead, see
`encoders.hearing_network`. The manifest says where in the graph they are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.encoders.hearing_network import HearingNetwork
from bytecover_tf.encoders.notes import hears_as_the_package
from bytecover_tf.encoders.runtimes import NOTES
from bytecover_tf.files import JsonObject
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.ensemble import Ensemble
from export import parity

# The weights that hear may have been rounded to float16 in the encoder, and are not in
# the package's own file.
_TOLERANCE = (2e-3, 0.99999)


def add_notes(
    files: list[JsonObject],
    folder: Path,
    model: ByteCover | Ensemble,
    frontend: Frontend,
    cases: list[parity.Case],
    report: Callable[[str], None],
) -> None:
    """Add to the float32 graph from features where its notes are, if it has them.

    Args:
        files: what was written, for the manifest.
        folder: the bundle.
        model: the encoder.
        frontend: parameters of its features.
        cases: what the model gives.
        report: called with a line if there are notes.

    Raises:
        ParityError: the graph gives something else with the notes of the package.
    """
    graphs = [
        item
        for item in files
        if (item["input"], item["precision"]) == ("features", "float32")
        and item["path"].endswith(".onnx")
    ]
    if frontend.average != DEFAULT_HEARING.average or not hears_as_the_package(model):
        return
    for item in graphs:
        path = folder / item["path"]
        tensor = notes_tensor(onnx.load(path))
        network = HearingNetwork(
            path, tensor, DEFAULT_HEARING, ["CPUExecutionProvider"]
        )

        def run(batch: np.ndarray, network: HearingNetwork = network) -> np.ndarray:
            return network(batch[..., np.newaxis])

        measured = parity.check(run, cases, "features", _TOLERANCE, item["path"])
        item[NOTES] = {
            "tensor": tensor,
            "hearing": network.hearing,
            "parity": measured,
        }
        report(
            f"{item['path']} with the notes of the package: cosine to the model "
            f"{measured['min_cosine']:.6f}"
        )


def notes_tensor(model: onnx.ModelProto) -> str:
    """Return the name of the tensor (batch, 3, semitones, ceil(frames / 4)) of notes.

    Args:
        model: the graph of an encoder of which one network hears notes.

    Raises:
        ValueError: there is not one such tensor.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    found = [
        node.output[0]
        for node in model.graph.node
        # Only probabilities of notes are averaged over frames.
        if node.op_type == "AveragePool"
        and node.input[0] in makers
        and makers[node.input[0]].op_type == "Sigmoid"
    ]
    if len(found) != 1:
        raise ValueError(f"expected one mean of probabilities, found {len(found)}")
    return found[0]
