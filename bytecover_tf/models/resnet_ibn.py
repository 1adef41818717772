"""ResNet with instance-batch normalisation (paper, section 2.1 and figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from bytecover_tf.layers.batch_norm import BatchNorm
from bytecover_tf.layers.ibn import IBN
from bytecover_tf.layers.ring import convolve_in_time, pad_ring
from bytecover_tf.layers.tensor import Tensor

_EPSILON = 1e-5
_MOMENTUM = 0.9
# The widest odd kernel that does not overlap itself on a ring of 12.
_RING_STEM = 11


def _conv(
    filters: int,
    size: int | tuple[int, int],
    stride: int = 1,
    ring: bool = False,
    **kwargs: Any,
) -> layers.Layer:
    """Build a convolution without bias.

    At stride 1 Keras's "same" pads both sides alike. At stride 2 it would pad more
    on the far side, and on a ring it would pad with zeros: there the caller pads and
    asks for "valid". On a ring only frames are strided.
    """
    return layers.Conv2D(
        filters,
        size,
        strides=(1, stride) if ring else stride,
        padding="same" if stride == 1 and not ring else "valid",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(
            2.0, mode="fan_out", distribution="untruncated_normal"
        ),
        **kwargs,
    )


def _divided(size: int | None, stride: int) -> int | None:
    return size if size is None else -(-size // stride)


def _batch_norm(**kwargs: Any) -> layers.Layer:
    return BatchNorm(epsilon=_EPSILON, momentum=_MOMENTUM, **kwargs)


@keras.saving.register_keras_serializable(package="bytecover_tf")
class Bottleneck(layers.Layer):
    """A residual block of 1x1, 3x3 and 1x1 convolutions.

    Args:
        filters: channels of the first two convolutions; the output has four times
            as many.
        stride: stride of the 3x3 convolution, on both axes.
        ibn: whether IBN instead of batch normalisation follows the first
            convolution.
        ring: whether the bins are pitch classes: the 3x3 convolution goes round, and
            the stride is that of the frames alone.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, channels)`

    Output shape:
        `(batch, ceil(bins / stride), ceil(frames / stride), 4 * filters)`; on a ring
        as many bins as before.
    """

    expansion = 4

    def __init__(
        self,
        filters: int,
        stride: int = 1,
        ibn: bool = True,
        ring: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride
        self.ibn = ibn
        self.ring = ring
        policy = {"dtype": self.dtype_policy}
        self.conv1 = _conv(filters, 1, name="conv1", **policy)
        self.norm1 = (
            IBN(epsilon=_EPSILON, momentum=_MOMENTUM, name="norm1", **policy)
            if ibn
            else _batch_norm(name="norm1", **policy)
        )
        self.pad = (
            layers.ZeroPadding2D(1, name="pad", **policy)
            if stride > 1 and not ring
            else None
        )
        self.conv2 = _conv(filters, 3, stride, ring, name="conv2", **policy)
        self.norm2 = _batch_norm(name="norm2", **policy)
        self.conv3 = _conv(self.expansion * filters, 1, name="conv3", **policy)
        self.norm3 = _batch_norm(name="norm3", **policy)
        self.shortcut: layers.Layer | None = None
        self.shortcut_norm: layers.Layer | None = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights; the shortcut has some only where the shape changes."""
        # Lengths are left open: a map of one frame is smaller than a kernel.
        expanded = (None, None, None, self.expansion * self.filters)
        inner = (None, None, None, self.filters)
        if self.pad is not None:
            self.pad.build(inner)
        if self.stride > 1 or input_shape[-1] != expanded[-1]:
            policy = {"dtype": self.dtype_policy}
            self.shortcut = _conv(
                expanded[-1], 1, self.stride, self.ring, name="shortcut", **policy
            )
            self.shortcut_norm = _batch_norm(name="shortcut_norm", **policy)
            self.shortcut.build(input_shape)
            self.shortcut_norm.build(expanded)
        self.conv1.build(input_shape)
        for layer in (self.norm1, self.conv2, self.norm2, self.conv3):
            layer.build(inner)
        self.norm3.build(expanded)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Apply the block."""
        x = keras.ops.relu(self.norm1(self.conv1(inputs), training=training))
        if self.ring:
            x = pad_ring(x, 1, 1)
        elif self.pad is not None:
            x = self.pad(x)
        if self.stride > 1:
            x = convolve_in_time(self.conv2, x, self.stride)
        else:
            x = self.conv2(x)
        x = keras.ops.relu(self.norm2(x, training=training))
        x = self.norm3(self.conv3(x), training=training)
        if self.shortcut is not None and self.shortcut_norm is not None:
            inputs = self.shortcut_norm(self.shortcut(inputs), training=training)
        return keras.ops.relu(x + inputs)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return the shape with the axes that are strided divided by the stride."""
        batch, bins, frames, _ = input_shape
        bins = bins if self.ring else _divided(bins, self.stride)
        frames = _divided(frames, self.stride)
        return (batch, bins, frames, self.expansion * self.filters)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "stride": self.stride,
            "ibn": self.ibn,
            "ring": self.ring,
        }


@keras.saving.register_keras_serializable(package="bytecover_tf")
class ResNetIBN(layers.Layer):
    """The backbone: a stem and four stages of bottlenecks.

    The first three stages use IBN blocks and the last does not, so that the
    network keeps its capacity to tell works apart. The last stage has stride 1,
    which leaves a map of 6 bins for 84. Padding is explicit and symmetric, as in
    PyTorch, so that weights can be carried over.

    Args:
        blocks: bottlenecks in each of the four stages; (3, 4, 6, 3) is ResNet50.
        width: channels of the stem; stage i has `4 * width * 2**i` at its output.
        ibn: False gives the plain ResNet.
        ring: whether the bins are 12 pitch classes: convolutions go round, the stem's
            sees nearly all of them, and only frames are strided. The map then turns
            as the input turns, so that what is pooled from it is the same in any key.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, channels)`, any number of frames from 1.

    Output shape:
        `(batch, ceil(bins / 16), ceil(frames / 16), 32 * width)`; on a ring
        `(batch, 12, ceil(frames / 16), 32 * width)`.

    Example:
        >>> ResNetIBN()(keras.random.uniform((1, 84, 103, 1))).shape
        TensorShape([1, 6, 7, 2048])
    """

    def __init__(
        self,
        blocks: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        ibn: bool = True,
        ring: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if len(blocks) != 4 or min(blocks) < 1:
            raise ValueError(
                "`blocks` must be four positive numbers, one a stage. "
                f"Received: blocks={blocks}"
            )
        self.blocks = tuple(blocks)
        self.width = width
        self.ibn = ibn
        self.ring = ring
        policy = {"dtype": self.dtype_policy}
        self.stem_pad = layers.ZeroPadding2D(3, name="stem_pad", **policy)
        self.stem_conv = _conv(
            width, (_RING_STEM, 7) if ring else 7, 2, ring, name="stem_conv", **policy
        )
        self.stem_norm = _batch_norm(name="stem_norm", **policy)
        # After the ReLU, padding with zeros cannot change a maximum.
        self.pool_pad = layers.ZeroPadding2D(
            (0, 1) if ring else 1, name="pool_pad", **policy
        )
        self.pool = layers.MaxPooling2D(
            (1, 3) if ring else 3,
            (1, 2) if ring else 2,
            padding="valid",
            name="pool",
            **policy,
        )
        self.bottlenecks = [
            Bottleneck(
                width * 2**stage,
                stride=2 if block == 0 and stage in (1, 2) else 1,
                ibn=ibn and stage < 3,
                ring=ring,
                name=f"stage{stage + 1}_block{block + 1}",
                **policy,
            )
            for stage, count in enumerate(self.blocks)
            for block in range(count)
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        if len(input_shape) != 4:
            raise ValueError(
                "ResNetIBN needs input of shape (batch, bins, frames, channels). "
                f"Received: input_shape={input_shape}"
            )
        # JAX runs a model step by step while it has a layer that is not built, be it
        # one without weights.
        self.stem_pad.build(input_shape)
        self.stem_conv.build((None, None, None, input_shape[-1]))
        shape: tuple[int | None, ...] = (None, None, None, self.width)
        self.stem_norm.build(shape)
        self.pool_pad.build(shape)
        for bottleneck in self.bottlenecks:
            bottleneck.build(shape)
            shape = bottleneck.compute_output_shape(shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return the feature map."""
        if self.ring:
            padded = pad_ring(inputs, _RING_STEM // 2, 3)
            x = convolve_in_time(self.stem_conv, padded, self.stem_conv.strides[1])
        else:
            x = self.stem_conv(self.stem_pad(inputs))
        x = self.stem_norm(x, training=training)
        x = self.pool(self.pool_pad(keras.ops.relu(x)))
        for bottleneck in self.bottlenecks:
            x = bottleneck(x, training=training)
        return x

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return the feature map's shape."""
        batch, bins, frames, _ = input_shape
        bins = bins if self.ring else _divided(bins, 16)
        return (batch, bins, _divided(frames, 16), 32 * self.width)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "blocks": self.blocks,
            "width": self.width,
            "ibn": self.ibn,
            "ring": self.ring,
        }
