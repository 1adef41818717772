"""The building block of the networks that ByteCover is compared with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import keras
from keras import layers, ops

from bytecover_tf.layers.batch_norm import BatchNorm
from bytecover_tf.layers.tensor import Tensor


@keras.saving.register_keras_serializable(package="bytecover_tf")
class ConvBlock(layers.Layer):
    """A convolution, batch normalisation if wanted, and an activation.

    Time is padded with zeros so that an input of any length from one frame has an
    output; bins are not, unless told, so that transposing the input moves the output
    up or down without changing it.

    Args:
        filters: channels of the output.
        size: bins and frames of the kernel.
        stride: stride in frames.
        dilation: dilation in frames.
        pad_bins: rows of zeros below and above.
        norm: whether batch normalisation follows the convolution.
        activation: `relu`, or `prelu` with one slope for all channels.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, channels)`

    Output shape:
        `(batch, bins + 2 * pad_bins - size[0] + 1, ceil(frames / stride), filters)`
    """

    def __init__(
        self,
        filters: int,
        size: tuple[int, int],
        stride: int = 1,
        dilation: int = 1,
        pad_bins: int = 0,
        norm: bool = True,
        activation: Literal["relu", "prelu"] = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.size = tuple(size)
        self.stride = stride
        self.dilation = dilation
        self.pad_bins = pad_bins
        policy = {"dtype": self.dtype_policy}
        self.conv = layers.Conv2D(
            filters,
            self.size,
            strides=(1, stride),
            dilation_rate=(1, dilation),
            use_bias=not norm,
            kernel_initializer="he_normal",
            name="conv",
            **policy,
        )
        self.norm = (
            BatchNorm(epsilon=1e-5, momentum=0.9, name="norm", **policy)
            if norm
            else None
        )
        self.activation: layers.Layer = (
            layers.PReLU(
                alpha_initializer=keras.initializers.Constant(0.01),
                shared_axes=(1, 2, 3),
                name="activation",
                **policy,
            )
            if activation == "prelu"
            else layers.ReLU(name="activation", **policy)
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        bins = input_shape[1]
        if bins is not None and bins + 2 * self.pad_bins < self.size[0]:
            raise ValueError(
                f"A kernel of {self.size[0]} bins needs at least as many bins. "
                f"Received: input_shape={input_shape}"
            )
        # Lengths are left open: an input may be shorter than the kernel.
        self.conv.build((None, None, None, input_shape[-1]))
        shape = (None, None, None, self.filters)
        if self.norm is not None:
            self.norm.build(shape)
        self.activation.build(shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Apply the block."""
        reach = self.dilation * (self.size[1] - 1)
        frames = [reach // 2, reach - reach // 2]
        bins = [self.pad_bins, self.pad_bins]
        x = self.conv(ops.pad(inputs, [[0, 0], bins, frames, [0, 0]]))
        if self.norm is not None:
            x = self.norm(x, training=training)
        return self.activation(x)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return the shape of the map."""
        batch, bins, frames, _ = input_shape
        if bins is not None:
            bins = bins + 2 * self.pad_bins - self.size[0] + 1
        if frames is not None:
            frames = -(-frames // self.stride)
        return (batch, bins, frames, self.filters)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "size": self.size,
            "stride": self.stride,
            "dilation": self.dilation,
            "pad_bins": self.pad_bins,
            "norm": self.norm is not None,
            "activation": (
                "prelu" if isinstance(self.activation, layers.PReLU) else "relu"
            ),
        }


def build_chain(
    blocks: Iterable[ConvBlock], input_shape: tuple[int | None, ...]
) -> tuple[int | None, ...]:
    """Create the weights of blocks that follow each other; return the last's shape."""
    for block in blocks:
        block.build(input_shape)
        input_shape = block.compute_output_shape(input_shape)
    return input_shape
