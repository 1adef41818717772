"""CQT-Net, a system that the paper compares itself with (table 1)."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.baseline import BaselineNetwork
from bytecover_tf.models.convolution import ConvBlock, build_chain

# Bins and dilation of each convolution; kernels are 3 frames long.
_KERNELS = ((12, 1), (13, 2), (13, 1), (3, 2), (3, 1), (3, 2), (3, 1), (3, 2), (3, 1),
            (3, 2))  # fmt: skip
# Channels as multiples of the first convolution's.
_CHANNELS = (1, 2, 2, 2, 4, 4, 8, 8, 16, 16)
# After these convolutions the maximum of two frames is taken.
_POOLED = (1, 3, 5, 7)


@keras.saving.register_keras_serializable(package="bytecover_tf")
class CQTNet(BaselineNetwork):
    """Ten convolutions of small kernels, long in pitch at first, and a maximum.

    As published: kernels, dilations, channels, the maxima over two frames, the
    maximum over the whole map and the dense layer after it. Different here: time is
    padded, so that short inputs have an output.

    Args:
        width: channels of the first convolution.
        dim: size of the embedding.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, channels)`, 38 bins or more, any number of frames from
        1; 84 bins and frames of 0.46 s as published.

    Output shape:
        `(batch, dim)`

    Example:
        >>> CQTNet(width=8)(keras.random.uniform((2, 84, 40, 1))).shape
        TensorShape([2, 300])

    Reference:
        - Yu et al., "Learning a representation for cover song identification using
          convolutional neural network", ICASSP 2020
    """

    def __init__(self, width: int = 32, dim: int = 300, **kwargs: Any) -> None:
        super().__init__(width, dim, **kwargs)
        policy = {"dtype": self.dtype_policy}
        self.convolutions = [
            ConvBlock(
                width * times,
                (bins, 3),
                dilation=dilation,
                pad_bins=0 if number else 6,
                name=f"conv{number}",
                **policy,
            )
            for number, ((bins, dilation), times) in enumerate(
                zip(_KERNELS, _CHANNELS, strict=True)
            )
        ]
        self.dense = layers.Dense(dim, name="dense", **policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        shape = build_chain(self.convolutions, input_shape)
        self.dense.build((None, shape[-1]))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return the embeddings."""
        x = inputs
        for number, convolution in enumerate(self.convolutions):
            x = convolution(x, training=training)
            if number in _POOLED:
                x = ops.max_pool(x, (1, 2), strides=(1, 2), padding="same")
        return self.dense(ops.max(x, axis=(1, 2)))
