"""The TensorFlow functions that are exported: from features and from waveforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.layers.cqt import CQT
from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.ensemble import Ensemble
from bytecover_tf.models.note_network import NoteNetwork
from export.inference import hearing_network, inference_network


class Graphs:
    """A network as traced functions with named and typed ends.

    Weights are constants of the graph, not variables: TensorFlow then lays them out
    for its kernels once, which makes the SavedModel about a fifth faster on a CPU.

    Args:
        model: a trained encoder, or a network that hears notes.
        frontend: parameters of its features.

    Attributes:
        name: `encoder` or `hearing`, with which the names of its files begin.
        output: name of what it gives: `embedding` (batch, dim), unit-norm f_c; or
            `heard` (batch, 3, semitones, frames // 2), probabilities.
        network: from `features` (batch, n_bins, frames) to the output.
        transform: from `waveform` (batch, samples) to `features`.
        whole: from `waveform` to the output.
    """

    def __init__(
        self, model: ByteCover | Ensemble | NoteNetwork, frontend: Frontend
    ) -> None:
        if isinstance(model, NoteNetwork):
            self.name, self.output = "hearing", "heard"
            network = hearing_network(model)
        else:
            self.name, self.output = "encoder", "embedding"
            network = inference_network(model)
        cqt = CQT(frontend)
        waveform = tf.TensorSpec((None, None), tf.float32, "waveform")
        features = tf.TensorSpec((None, frontend.n_bins, None), tf.float32, "features")

        def transform(waveform: Tensor) -> Tensor:
            return tf.squeeze(cqt(waveform), -1)

        self.network = tf.function(
            lambda features: {self.output: network(features)},
            input_signature=[features],
        )
        self.transform = tf.function(
            lambda waveform: {"features": transform(waveform)},
            input_signature=[waveform],
        )

        def whole(waveform: Tensor) -> Tensor:
            # By way of the traced function, so that the weights are stored once.
            found = self.network(transform(waveform))[self.output]
            # 8-bit convolutions of LiteRT turn what is not finite into numbers.
            total = tf.reduce_sum(tf.abs(waveform), axis=1)
            total = tf.reshape(total, [-1] + [1] * (len(found.shape) - 1))
            is_finite = total < np.float32(np.inf)
            return {self.output: tf.where(is_finite, found, np.float32(np.nan))}

        self.whole = tf.function(whole, input_signature=[waveform])


def write_saved_model(graphs: Graphs, path: Path, inputs: tuple[str, ...]) -> None:
    """Write a SavedModel.

    Args:
        graphs: graphs of the network.
        path: a version's folder, such as `saved_model/1`.
        inputs: `waveform` for the signature `serving_default`, `features` for the
            signature `features`.

    Raises:
        OSError: it cannot be written.
    """
    signatures = {}
    if "waveform" in inputs:
        signatures["serving_default"] = graphs.whole
    if "features" in inputs:
        signatures["features"] = graphs.network
    module = tf.Module()
    module.functions = list(signatures.values())
    try:
        tf.saved_model.save(module, str(path), signatures)
    except tf.errors.OpError as error:  # of a full disk, say
        raise OSError(f"{path}: cannot be written ({error.message})") from None
