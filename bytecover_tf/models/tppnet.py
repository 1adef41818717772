"""TPPNet, a system that the paper compares itself with (table 1)."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.baseline import BaselineNetwork
from bytecover_tf.models.convolution import ConvBlock, build_chain

PARTS = (4, 3, 2, 1)
"""Levels of the pyramid: into how many parts each divides time."""


@keras.saving.register_keras_serializable(package="bytecover_tf")
class TPPNet(BaselineNetwork):
    """Convolutions over pitch and time, and a temporal pyramid of maxima.

    The first kernel covers three octaves; the maximum over all pitches after three
    convolutions makes what follows independent of the key. The pyramid keeps, beside
    the maximum of the whole recording, those of its halves, thirds and quarters.

    As published: kernels, strides, channels, the pyramid and the dense layer after
    it. Different here: time is padded, so that short inputs have an output.

    Args:
        width: channels of the first convolution.
        dim: size of the embedding.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, channels)`, 49 bins or more, any number of frames from
        1; 84 bins and frames of 0.46 s as published.

    Output shape:
        `(batch, dim)`

    Example:
        >>> TPPNet(width=8)(keras.random.uniform((2, 84, 200, 1))).shape
        TensorShape([2, 300])

    Reference:
        - Yu et al., "Temporal pyramid pooling convolutional neural network for cover
          song identification", IJCAI 2019
    """

    def __init__(self, width: int = 32, dim: int = 300, **kwargs: Any) -> None:
        super().__init__(width, dim, **kwargs)
        policy = {"dtype": self.dtype_policy}
        self.over_pitch = [
            ConvBlock(width, (36, 40), name="conv0", **policy),
            ConvBlock(2 * width, (12, 3), stride=2, name="conv1", **policy),
            ConvBlock(4 * width, (3, 3), stride=2, name="conv2", **policy),
        ]
        self.over_time = [
            ConvBlock(times * width, (1, 3), stride=2, name=f"conv{number}", **policy)
            for number, times in enumerate((8, 16, 16), 3)
        ]
        self.dense = layers.Dense(dim, name="dense", **policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        build_chain((*self.over_pitch, *self.over_time), input_shape)
        self.dense.build((None, sum(PARTS) * 16 * self.width))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return the embeddings."""
        x = inputs
        for convolution in self.over_pitch:
            x = convolution(x, training=training)
        x = ops.max(x, axis=1, keepdims=True)
        for convolution in self.over_time:
            x = convolution(x, training=training)
        return self.dense(temporal_pyramid(x[:, 0]))


def temporal_pyramid(inputs: Tensor) -> Tensor:
    """Return the maxima over parts of time, one after the other.

    Part i of n reaches from frame `floor(i T / n)` to before `ceil((i + 1) T / n)`:
    neighbours share a frame where n does not divide T, and none is empty.

    Args:
        inputs: `(batch, frames, channels)`, not negative.

    Returns:
        `(batch, 10 * channels)`
    """
    count = ops.shape(inputs)[1]
    frame = ops.arange(count)
    maxima = []
    for parts in PARTS:
        for part in range(parts):
            begun = (frame + 1) * parts > part * count
            ended = frame * parts >= (part + 1) * count
            inside = ops.logical_and(begun, ops.logical_not(ended))
            kept = inputs * ops.cast(inside, inputs.dtype)[None, :, None]
            maxima.append(ops.max(kept, axis=1))
    return ops.concatenate(maxima, axis=1)
