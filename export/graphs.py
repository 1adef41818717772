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
from export.inference import inference_network


class Graphs:
    """An encoder as traced functions with named and typed ends.

    Weights are constants of the graph, not variables: TensorFlow then lays them out
    for its kernels once, which makes the SavedModel about a fifth faster on a CPU.

    Args:
        model: the trained model.
        frontend: parameters of its features.

    Attributes:
        encoder: from `features` (batch, n_bins, frames) to `embedding` (batch, dim),
            unit-norm f_c.
        transform: from `waveform` (batch, samples) to `features`.
        whole: from `waveform` to `embedding`.
    """

    def __init__(self, model: ByteCover | Ensemble, frontend: Frontend) -> None:
        network = inference_network(model)
        cqt = CQT(frontend)
        waveform = tf.TensorSpec((None, None), tf.float32, "waveform")
        features = tf.TensorSpec((None, frontend.n_bins, None), tf.float32, "features")

        def transform(waveform: Tensor) -> Tensor:
            return tf.squeeze(cqt(waveform), -1)

        self.encoder = tf.function(
            lambda features: {"embedding": network(features)},
            input_signature=[features],
        )
        self.transform = tf.function(
            lambda waveform: {"features": transform(waveform)},
            input_signature=[waveform],
        )

        def whole(waveform: Tensor) -> Tensor:
            # By way of the traced function, so that the weights are stored once.
            embedding = self.encoder(transform(waveform))["embedding"]
            # 8-bit convolutions of LiteRT turn what is not finite into numbers.
            total = tf.reduce_sum(tf.abs(waveform), axis=1, keepdims=True)
            is_finite = total < np.float32(np.inf)
            return {"embedding": tf.where(is_finite, embedding, np.float32(np.nan))}

        self.whole = tf.function(whole, input_signature=[waveform])


def write_saved_model(graphs: Graphs, path: Path, inputs: tuple[str, ...]) -> None:
    """Write a SavedModel.

    Args:
        graphs: graphs of the encoder.
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
        signatures["features"] = graphs.encoder
    module = tf.Module()
    module.functions = list(signatures.values())
    try:
        tf.saved_model.save(module, str(path), signatures)
    except tf.errors.OpError as error:  # of a full disk, say
        raise OSError(f"{path}: cannot be written ({error.message})") from None
