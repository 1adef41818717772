"""Ki-CNN, a system that the paper compares itself with (table 1)."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.baseline import BaselineNetwork
from bytecover_tf.models.convolution import ConvBlock, build_chain
from bytecover_tf.models.pitch_classes import transposable_pitch_classes


@keras.saving.register_keras_serializable(package="bytecover_tf")
class KiCNN(BaselineNetwork):
    """Pitch classes under a kernel of an octave, then the maximum over keys.

    As published: a kernel that covers the twelve pitch classes moves over them in a
    circle, and the maximum over its twelve places does not depend on the key; what
    follows convolves over time alone. Different here: the pitch classes are folded from
    the constant-Q transform instead of harmonic pitch class profiles, time is padded,
    and the sizes of kernels and channels are those of `TPPNet`, published by the same
    authors a year later, because those of Ki-CNN were not available to us.

    Args:
        width: channels of the first convolution.
        dim: size of the embedding.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, channels)`, 12 bins an octave, any number of frames
        from 1.

    Output shape:
        `(batch, dim)`

    Example:
        >>> KiCNN(width=8)(keras.random.uniform((2, 84, 200, 1))).shape
        TensorShape([2, 300])

    Reference:
        - Xu, Chen and Yang, "Key-invariant convolutional neural network toward
          efficient cover song identification", ICME 2018
    """

    def __init__(self, width: int = 32, dim: int = 300, **kwargs: Any) -> None:
        super().__init__(width, dim, **kwargs)
        policy = {"dtype": self.dtype_policy}
        self.over_pitch = ConvBlock(width, (12, 40), name="conv0", **policy)
        self.over_time = [
            ConvBlock(times * width, (1, 3), stride=2, name=f"conv{number}", **policy)
            for number, times in enumerate((2, 4, 8, 16), 1)
        ]
        self.dense = layers.Dense(dim, name="dense", **policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        shape: tuple[int | None, ...] = (None, 23, None, input_shape[-1])
        shape = build_chain((self.over_pitch, *self.over_time), shape)
        self.dense.build((None, shape[-1]))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return the embeddings."""
        x = self.over_pitch(transposable_pitch_classes(inputs), training=training)
        x = ops.max(x, axis=1, keepdims=True)
        for convolution in self.over_time:
            x = convolution(x, training=training)
        return self.dense(ops.mean(x, axis=(1, 2)))
