"""MOVE's network, a system that the paper compares itself with (tables 1 and 2)."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from bytecover_tf.layers.auto_pool import AutoPool
from bytecover_tf.layers.batch_norm import BatchNorm
from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.baseline import BaselineNetwork
from bytecover_tf.models.convolution import ConvBlock, build_chain
from bytecover_tf.models.pitch_classes import transposable_pitch_classes

# Of the first kernel as published, each of 0.093 s.
KERNEL_FRAMES = 180
# Dilations of the convolutions over time, whose kernels are 5 frames long, as shares of
# the first kernel's length: 1, 20, 1 and 13 of 180 frames.
_DILATIONS = (1 / 180, 1 / 9, 1 / 180, 13 / 180)


@keras.saving.register_keras_serializable(package="bytecover_tf")
class MOVE(BaselineNetwork):
    """Pitch classes, the maximum over keys, attention over time, a standard space.

    As published: a first kernel of the twelve pitch classes and 180 frames, the maximum
    over its twelve places, four convolutions over time, of which two are dilated, with
    as many channels and twice as many in the last; half of its channels, multiplied by
    a learned number that starts at 0, weight the frames of the other half through a
    softmax over time; then a linear layer without bias, and each dimension standardised
    over the batch. The result is divided by the root of its size, so that the squared
    distance of two embeddings is a mean over the dimensions. Sizes, dilations and the
    first slopes of the activations are those of the authors' code
    (github.com/furkanyesiler/move).

    Different here: the pitch classes are folded from the constant-Q transform instead
    of estimated by a network (crema), time is padded, first weights are Keras's, and
    the standardisation adds less to the variances.

    Args:
        width: channels of the convolutions.
        dim: size of the embedding.
        kernel_frames: frames of the first kernel. Dilations keep their ratio to it.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, channels)`, 12 bins an octave, any number of frames
        from 1; frames of 0.093 s as published.

    Output shape:
        `(batch, dim)`

    Example:
        >>> MOVE(width=8, dim=512)(keras.random.uniform((2, 84, 200, 1))).shape
        TensorShape([2, 512])

    Reference:
        - Yesiler, Serra and Gomez, "Accurate and scalable version identification
          using musically-motivated embeddings", ICASSP 2020
    """

    def __init__(
        self,
        width: int = 256,
        dim: int = 16000,
        kernel_frames: int = KERNEL_FRAMES,
        **kwargs: Any,
    ) -> None:
        super().__init__(width, dim, **kwargs)
        self.kernel_frames = kernel_frames
        policy = {"dtype": self.dtype_policy}
        block: dict[str, Any] = {"norm": False, "activation": "prelu", **policy}
        self.over_pitch = ConvBlock(width, (12, kernel_frames), name="conv0", **block)
        self.over_time = [
            ConvBlock(
                width * (2 if number == len(_DILATIONS) else 1),
                (1, 5),
                dilation=max(round(share * kernel_frames), 1),
                name=f"conv{number}",
                **block,
            )
            for number, share in enumerate(_DILATIONS, 1)
        ]
        self.pool = AutoPool(name="pool", **policy)
        self.dense = layers.Dense(dim, use_bias=False, name="dense", **policy)
        # At first, recordings differ by little; a larger epsilon would drown the
        # difference.
        self.standardise = BatchNorm(
            center=False,
            scale=False,
            epsilon=1e-8,
            momentum=0.9,
            name="standardise",
            **policy,
        )

    def extractor(self) -> tuple[layers.Layer, ...]:
        """Return the layers before the linear one, which a space of any size needs."""
        return (self.over_pitch, *self.over_time, self.pool)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        shape: tuple[int | None, ...] = (None, 23, None, input_shape[-1])
        build_chain((self.over_pitch, *self.over_time), shape)
        self.pool.build((None, None, 2 * self.width))
        self.dense.build((None, self.width))
        self.standardise.build((None, self.dim))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return the embeddings."""
        x = self.over_pitch(transposable_pitch_classes(inputs), training=training)
        x = ops.max(x, axis=1, keepdims=True)
        for convolution in self.over_time:
            x = convolution(x, training=training)
        x = self.dense(self.pool(x[:, 0]))
        return self.standardise(x, training=training) / self.dim**0.5

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "kernel_frames": self.kernel_frames}
