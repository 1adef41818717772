"""Pitch salience: which notes sound, and which of them are the melody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from bytecover_tf.layers.batch_norm import BatchNormalization
from bytecover_tf.layers.conv2d import Conv2D
from bytecover_tf.layers.tensor import Tensor

# Partials of a note in semitones above it: an octave below, the note, and its harmonics
# 2 to 8 without the 7th.
HARMONICS = (-12, 0, 12, 19, 24, 28, 31, 36)
# A note's surroundings, two octaves, a bar or two, a phrase.
KERNELS = ((5, 5), (25, 1), (3, 7), (1, 15))
# Of the logistic function; about one pitch in fifty sounds.
_SILENT = -4.0


@keras.saving.register_keras_serializable(package="bytecover_tf")
class Salience(layers.Layer):
    """Hears notes in a constant-Q transform.

    Convolutions read the transform and copies of it that are shifted so that the
    harmonics of a note lie on top of each other, as in deep salience maps for melody
    extraction. All but the first are residual. Some reach across two octaves and some
    across seconds, because only the notes around it and the course of time show which
    note is the melody. Gains on the first convolution's channels, computed from their
    means over the recording, even out its sound. The output hardly depends on the
    instruments; it describes what versions of a work share.

    Args:
        filters: channels of the hidden convolutions.
        kernels: their sizes, (bins, frames).
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, bins, frames, 1)`, 12 bins an octave.

    Output shape:
        `(batch, bins, frames, 2)`: for the melody and for all notes together, the
        share of the frame in which that pitch sounds, 0 to 1. With `logits=True`
        in the call, before the logistic function.

    Example:
        >>> Salience()(keras.random.uniform((1, 84, 40, 1))).shape
        TensorShape([1, 84, 40, 2])

    Reference:
        - Bittner et al., "Deep salience representations for F0 estimation in
          polyphonic music", ISMIR 2017
        - the gains: Hu et al., "Squeeze-and-excitation networks", CVPR 2018
        - the first bias: Lin et al., "Focal loss for dense object detection", ICCV
          2017, section 4.1
    """

    def __init__(
        self,
        filters: int = 24,
        kernels: Sequence[tuple[int, int]] = KERNELS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(
                f"`filters` must be at least 1. Received: filters={filters}"
            )
        self.filters = filters
        self.kernels = tuple(map(tuple, kernels))
        policy = {"dtype": self.dtype_policy}
        self.convolutions = [
            Conv2D(
                filters, size, padding="same", use_bias=False, name=f"conv{i}", **policy
            )
            for i, size in enumerate(self.kernels, 1)
        ]
        self.norms = [
            BatchNormalization(momentum=0.95, name=f"norm{i}", **policy)
            for i, _ in enumerate(self.kernels, 1)
        ]
        self.squeeze = layers.Dense(filters, "relu", name="squeeze", **policy)
        self.excite = layers.Dense(filters, "sigmoid", name="excite", **policy)
        # Few pitches sound in a frame, so at first the layer hears next to none.
        rarely = keras.initializers.Constant(_SILENT)
        self.output_conv = layers.Conv2D(
            2, 1, bias_initializer=rarely, name="output", **policy
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        if len(input_shape) != 4 or input_shape[-1] != 1:
            raise ValueError(
                "Salience needs input of shape (batch, bins, frames, 1). "
                f"Received: input_shape={input_shape}"
            )
        hidden = (None, None, None, self.filters)
        shape = (None, None, None, len(HARMONICS))
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            convolution.build(shape)
            norm.build(hidden)
            shape = hidden
        self.squeeze.build((None, self.filters))
        self.excite.build((None, self.filters))
        self.output_conv.build(hidden)

    def call(
        self, inputs: Tensor, training: bool | None = None, logits: bool = False
    ) -> Tensor:
        """Return the salience of each pitch."""
        x = stack_harmonics(ops.squeeze(inputs, -1))
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            y = convolution(x, training=training)
            y = ops.relu(norm(y, training=training))
            x = self._even_out(y) if convolution is self.convolutions[0] else x + y
        x = self.output_conv(x)
        return x if logits else ops.sigmoid(x)

    def _even_out(self, x: Tensor) -> Tensor:
        """Multiply each channel by a gain, 0 to 2, computed from all means."""
        gains = 2.0 * self.excite(self.squeeze(ops.mean(x, axis=(1, 2))))
        return x * gains[:, None, None, :]

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, bins, frames, 2)`."""
        return (*input_shape[:-1], 2)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernels": self.kernels,
        }


def stack_harmonics(inputs: Tensor, bins_per_semitone: int = 1) -> Tensor:
    """Return `(batch, bins, frames, 8)`: at each bin what lies at its harmonics.

    Beyond the lowest and the highest bin there is silence.

    Args:
        inputs: `(batch, bins, frames)`.
        bins_per_semitone: 1 for 12 bins an octave.
    """
    shifts = [bins_per_semitone * semitones for semitones in HARMONICS]
    low, high = -min(shifts), max(shifts)
    bins = inputs.shape[1]
    padded = ops.pad(inputs, [[0, 0], [low, high], [0, 0]])
    copies = [padded[:, low + shift : low + shift + bins] for shift in shifts]
    # Whole maps one after another are copied many times as fast as single values side
    # by side, and an exported graph reads them in this order.
    return ops.transpose(ops.stack(copies, axis=1), (0, 2, 3, 1))
