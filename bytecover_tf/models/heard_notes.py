"""Heard notes as the map that a backbone reads."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from bytecover_tf.layers.semitones import BINS_PER_SEMITONE, check_fine_bins
from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.note_network import NoteNetwork

FRAMES = 4
"""How many frames of the transform become one of the notes."""

# The network is seldom certain; a note that clearly sounds is to come out near 1.
_MELODY_GAIN, _NOTES_GAIN = 1.5, 2.0
_TINY = 1e-12


def map_of_notes(heard: Tensor) -> Tensor:
    """Return what a backbone reads of the notes that were heard in whole recordings.

    Args:
        heard: `(batch, semitones, frames, 3)`, how likely each pitch sounds, begins,
            and is the melody, from 0 to 1.

    Returns:
        `(batch, semitones, frames // 2, 2)`, as `HeardNotes` does.
    """
    # The network has halved the frames. Keras's JAX backend needs the strides.
    pair = (1, FRAMES // 2)
    heard = ops.average_pool(heard, pair, strides=pair)
    notes, melody = heard[..., :1], heard[..., 2:]
    notes = notes - ops.mean(notes, axis=2, keepdims=True)
    both = [_MELODY_GAIN * melody, _NOTES_GAIN * notes]
    return ops.clip(ops.concatenate(both, axis=-1), 0.0, 1.0)


@keras.saving.register_keras_serializable(package="bytecover_tf")
class HeardNotes(layers.Layer):
    """Hears the notes in a fine transform, with a network that learns no more.

    Of the notes only what exceeds each pitch's mean over the recording counts, because
    the network gives even silent pitches a tenth.

    Drawn and real music look alike in what is heard, so an encoder that has learned
    from scores or from drawn versions finds versions in real music by it. The output
    has the form of that of `Salience`.

    Args:
        filters: of the `NoteNetwork`. Give it the weights of one that was trained.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, 3 * semitones, frames, 1)`: amplitudes of 36 bins an octave of a whole
        recording, at any gain.

    Output shape:
        `(batch, semitones, ceil(frames / 4), 2)`: how likely a pitch is the melody,
        and how likely it sounds, 0 to 1. Frames that are missing at the end count as
        silence.

    Raises:
        ValueError: the bins are not three a semitone.

    Example:
        >>> HeardNotes(8)(keras.random.uniform((1, 252, 41, 1))).shape
        TensorShape([1, 84, 11, 2])
    """

    def __init__(self, filters: int = 24, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.network = NoteNetwork(filters, name="network", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        check_fine_bins("HeardNotes", input_shape)
        self.network.build(input_shape)
        self.network.trainable = False

    def call(self, inputs: Tensor) -> Tensor:
        """Return the melody and the notes that are heard."""
        return self.as_map(self.network(self.relative(inputs), training=False))

    def relative(self, inputs: Tensor) -> Tensor:
        """Return what the network reads: amplitudes relative to their mean."""
        mean = ops.mean(inputs, axis=(1, 2, 3), keepdims=True)
        x = inputs / (mean + _TINY)
        frames = (ops.shape(x)[2] + FRAMES - 1) // FRAMES * FRAMES
        return ops.pad(x, [[0, 0], [0, 0], [0, FRAMES - 1], [0, 0]])[:, :, :frames]

    def as_map(self, logits: Tensor) -> Tensor:
        """Return the melody and the notes in what the network answers."""
        return map_of_notes(ops.sigmoid(logits))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, semitones, ceil(frames / 4), 2)`."""
        batch, bins, frames, _ = input_shape
        return (
            batch,
            None if bins is None else bins // BINS_PER_SEMITONE,
            None if frames is None else -(-frames // FRAMES),
            2,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "filters": self.filters}
