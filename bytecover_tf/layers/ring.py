"""Pitch classes: twelve bins that go round, whatever the octave."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from bytecover_tf.audio.chroma import PITCH_CLASSES
from bytecover_tf.layers.tensor import Tensor


def fold_octaves(inputs: Tensor) -> Tensor:
    """Lay octaves upon each other and keep the largest value of each pitch class.

    In another key the result is the same but for a turn of the ring.

    Args:
        inputs: `(batch, bins, frames, channels)`, 12 bins an octave.

    Returns:
        `(batch, 12, frames, channels)`

    Raises:
        ValueError: the bins are not whole octaves.
    """
    bins = inputs.shape[1]
    if bins is None or bins % PITCH_CLASSES:
        raise ValueError(
            "Pitch classes need whole octaves of 12 bins. "
            f"Received: inputs.shape={tuple(inputs.shape)}"
        )
    octaves = ops.split(inputs, bins // PITCH_CLASSES, axis=1)
    folded = octaves[0]
    for octave in octaves[1:]:
        folded = ops.maximum(folded, octave)
    return folded


def pad_ring(inputs: Tensor, bins: int, frames: int) -> Tensor:
    """Continue the ring at its ends, and time by zeros.

    Args:
        inputs: `(batch, 12, frames, channels)`
        bins: number of bins to add below and above, at most 12.
        frames: number of frames to add before and after.
    """
    if bins:
        inputs = ops.concatenate([inputs[:, -bins:], inputs, inputs[:, :bins]], axis=1)
    return ops.pad(inputs, [[0, 0], [0, 0], [frames, frames], [0, 0]])


def convolve_in_time(
    convolution: Callable[[Tensor], Tensor], inputs: Tensor, stride: int
) -> Tensor:
    """Return a convolution whose frames are strided, of any length.

    TensorFlow 2.21 with oneDNN computes a single frame of it from what memory happens
    to hold: of one channel if the bins are not strided, and in bfloat16 on processors
    with AMX. So there is always another then, which is dropped.

    Args:
        convolution: without padding of its own.
        inputs: `(batch, bins, frames, channels)`
        stride: of the convolution, in frames.
    """
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    if inputs.shape[-1] > 1 and dtype != "bfloat16":
        return convolution(inputs)
    longer = ops.pad(inputs, [[0, 0], [0, 0], [0, stride], [0, 0]])
    return convolution(longer)[:, :, :-1]
