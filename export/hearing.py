"""Writes a network that hears notes as the ONNX file that `audio.hearing` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import METADATA
from bytecover_tf.encoders.model_file import load_hearing_model, versions
from bytecover_tf.files import JsonObject, replacing
from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.note_network import NoteNetwork
from export.onnx_graphs import convert, write
from export.parity import ParityError

# Probabilities; the sums of a convolution are taken in another order.
_TOLERANCE = 1e-4
# Batches and frames that the file is tried at; it is traced at none of them.
_TRIED = ((1, 2), (1, 64), (3, 130), (2, 1000))


def export_hearing_file(source: Path, path: Path) -> float:
    """Write the network of a `.keras` file; as `export_hearing`.

    Args:
        source: what `train_hearing` wrote.
        path: ends in `.onnx`.

    Raises:
        EncoderError: `source` is missing or something else.
        ParityError: as `export_hearing`.
    """
    model, info = load_hearing_model(source)
    frontend = Frontend.from_dict(info["frontend"])
    return export_hearing(model, path, frontend, kept_facts(info))


def kept_facts(info: JsonObject) -> JsonObject:
    """Return what an export repeats of the facts about a network's training."""
    return {key: info[key] for key in ("request", "sets", "held_out") if key in info}


def export_hearing(
    model: NoteNetwork, path: Path, frontend: Frontend, info: JsonObject
) -> float:
    """Write a network once it does what the model does.

    Args:
        model: the trained network.
        path: ends in `.onnx`; replaced as a whole.
        frontend: parameters of what the network reads.
        info: further facts, ready for JSON.

    Returns:
        The largest difference of a probability, at several lengths and batch sizes.

    Raises:
        ParityError: the difference is above the tolerance.
    """

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, frontend.n_bins, None), tf.float32, "magnitudes")
        ]
    )
    def hear(magnitudes: Tensor) -> dict[str, Tensor]:
        heard = tf.sigmoid(model(magnitudes[..., tf.newaxis], training=False))
        return {"heard": tf.transpose(heard, (0, 3, 1, 2))}

    facts = {
        **info,
        "frontend": frontend.to_dict(),
        "versions": versions("bytecover_tf", "keras", "tensorflow", "tf2onnx"),
    }
    with replacing(path) as beside:
        write(convert(hear), beside, facts, METADATA)
        difference = _difference(hear, beside, frontend.n_bins)
        if not difference <= _TOLERANCE:  # written so that NaN fails
            raise ParityError(
                f"{path}: differs from the model by {difference:.2g}; at most "
                f"{_TOLERANCE:g} is expected"
            )
    return difference


def _difference(hear: Any, path: Path, bins: int) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    worst = 0.0
    for batch, frames in _TRIED:
        # Amplitudes of music spread about as far.
        given = rng.gamma(0.3, 3.0, (batch, bins, frames)).astype(np.float32)
        (found,) = session.run(None, {"magnitudes": given})
        difference = np.abs(found - hear(given)["heard"].numpy()).max()
        worst = float(np.maximum(worst, difference))  # of NaN and a number, NaN
    return worst
