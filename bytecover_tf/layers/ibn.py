"""Instance-batch normalisation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bytecover_tf.layers.batch_norm import BatchNorm
from bytecover_tf.layers.tensor import Tensor


@keras.saving.register_keras_serializable(package="bytecover_tf")
class IBN(keras.layers.Layer):
    """Normalises some channels per instance and the others per batch (IBN-a).

    Instance normalisation removes what is particular to one recording (timbre,
    loudness, key colour); batch normalisation keeps what tells works apart. The
    paper (section 2.1, figure 2) gives each half of the channels.

    Args:
        instance_fraction: share of the channels, from the first, that get
            instance normalisation.
        epsilon: added to the variances.
        momentum: momentum of the batch normalisation's moving statistics.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, channels)`

    Output shape:
        The same.

    Example:
        >>> x = keras.random.normal((2, 21, 26, 64))
        >>> IBN()(x).shape
        TensorShape([2, 21, 26, 64])

    Reference:
        - Pan et al., "Two at once: enhancing learning and generalization
          capacities via IBN-Net", ECCV 2018
    """

    def __init__(
        self,
        instance_fraction: float = 0.5,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < instance_fraction < 1:
            raise ValueError(
                "`instance_fraction` must lie between 0 and 1. "
                f"Received: instance_fraction={instance_fraction}"
            )
        self.instance_fraction = instance_fraction
        self.epsilon = epsilon
        self.momentum = momentum
        self.instance_norm = keras.layers.GroupNormalization(
            groups=-1, epsilon=epsilon, dtype=self.dtype_policy, name="instance_norm"
        )
        self.batch_norm = BatchNorm(
            epsilon=epsilon,
            momentum=momentum,
            dtype=self.dtype_policy,
            name="batch_norm",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of both normalisations."""
        channels = input_shape[-1]
        if len(input_shape) != 4 or channels is None or channels < 2:
            raise ValueError(
                "IBN needs input of shape (batch, bins, frames, channels) with at "
                f"least 2 channels. Received: input_shape={input_shape}"
            )
        split = self._split(channels)
        self.instance_norm.build((*input_shape[:-1], split))
        self.batch_norm.build((*input_shape[:-1], channels - split))

    def _split(self, channels: int) -> int:
        return min(max(1, int(channels * self.instance_fraction)), channels - 1)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Normalise `inputs`."""
        # Not slices, of each of which the gradient would be as large as the input.
        one, other = ops.split(inputs, [self._split(inputs.shape[-1])], axis=-1)
        return ops.concatenate(
            [self.instance_norm(one), self.batch_norm(other, training=training)],
            axis=-1,
        )

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `input_shape`."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "instance_fraction": self.instance_fraction,
            "epsilon": self.epsilon,
            "momentum": self.momentum,
        }
