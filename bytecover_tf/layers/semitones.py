"""A transform of 12 bins an octave, made from one of 36."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from bytecover_tf.layers.tensor import Tensor

BINS_PER_SEMITONE = 3

# How much of the energy of bins that lie 0, 1, 2 and 3 thirds of a semitone away a
# filter of a semitone passes; by least squares on recordings.
_ENERGY = (0.131, 0.878, 0.28, 0.071)
# Long filters even out the lowest octaves; factors at some semitones that undo it.
_GAINS = ((0, 3, 40, 84), (1.0, 0.72, 0.93, 1.0))
# The squares of what is quieter than -60 dB would vanish in half precision.
_LOUD = 64.0
_TINY = 1e-12


@keras.saving.register_keras_serializable(package="bytecover_tf")
class Semitones(layers.Layer):
    """Folds 36 bins an octave into 12, and averages frames.

    An encoder that reads 12 bins an octave then reads features that were made for
    hearing notes, so that one transform of a file serves both. The result differs from
    a transform of 12 bins by some 17% in the upper octaves; encoders find as much with
    it (`benchmarks/experiments.md`). As the features of a frontend, it is divided by
    its maximum. Nothing is learned.

    Args:
        frames: how many frames are averaged into one; those that are missing at the
            end count as silence.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, 3 * semitones, frames, 1)`, amplitudes.

    Output shape:
        `(batch, semitones, ceil(frames / self.frames), 1)`, 0 to 1.

    Raises:
        ValueError: `frames` is below 1, or the bins are not three a semitone.

    Example:
        >>> Semitones(4)(keras.random.uniform((1, 252, 41, 1))).shape
        TensorShape([1, 84, 11, 1])
    """

    def __init__(self, frames: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if frames < 1:
            raise ValueError(f"`frames` must be at least 1. Received: frames={frames}")
        self.frames = frames

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check the shape; there are no weights."""
        check_fine_bins("Semitones", input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the semitones."""
        semitones = inputs.shape[1] // BINS_PER_SEMITONE
        x = ops.square(inputs * (_LOUD / (_peaks(inputs) + _TINY)))
        reach = len(_ENERGY) - 1
        # Bin 3 * s is semitone s itself.
        x = ops.pad(x, [[0, 0], [reach, reach], [0, self.frames - 1], [0, 0]])
        kernel = np.array([*_ENERGY[:0:-1], *_ENERGY], np.float32)[:, None, None, None]
        energy = ops.conv(
            x,
            ops.convert_to_tensor(kernel, x.dtype),
            strides=(BINS_PER_SEMITONE, 1),
            padding="valid",
        )[:, :semitones]
        gains = np.interp(np.arange(semitones), *_GAINS)[:, None, None]
        x = ops.sqrt(energy) * ops.convert_to_tensor(gains.astype(np.float32), x.dtype)
        # Keras's JAX backend needs the strides.
        block = (1, self.frames)
        x = ops.average_pool(x, block, strides=block)
        return x / (_peaks(x) + _TINY)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, semitones, ceil(frames / self.frames), 1)`."""
        batch, bins, frames, channels = input_shape
        return (
            batch,
            None if bins is None else bins // BINS_PER_SEMITONE,
            None if frames is None else -(-frames // self.frames),
            channels,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "frames": self.frames}


def check_fine_bins(name: str, input_shape: tuple[int | None, ...]) -> None:
    """Refuse what is not a transform of three bins per semitone.

    Args:
        name: of the layer that reads it.
        input_shape: of its input.

    Raises:
        ValueError: it is not `(batch, 3 * semitones, frames, 1)`.
    """
    if len(input_shape) != 4 or input_shape[-1] != 1:
        raise ValueError(
            f"{name} needs input of shape (batch, bins, frames, 1). "
            f"Received: input_shape={input_shape}"
        )
    if not input_shape[1] or input_shape[1] % BINS_PER_SEMITONE:
        raise ValueError(
            f"{name} needs {BINS_PER_SEMITONE} bins a semitone. "
            f"Received: input_shape={input_shape}"
        )


def _peaks(x: Tensor) -> Tensor:
    """Return the maximum of each recording, (batch, 1, 1, 1)."""
    return ops.max(x, axis=(1, 2, 3), keepdims=True)
