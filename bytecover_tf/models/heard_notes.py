"""Heard notes as the map that a backbone reads."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from bytecover_tf.audio.chroma import HEARD
from bytecover_tf.layers.semitones import BINS_PER_SEMITONE, check_fine_bins
from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.note_network import KNEE, NoteNetwork

# Of the compressed amplitudes, for values of about the size of probabilities.
_LOUDNESS = 0.25
_TINY = 1e-12


@keras.saving.register_keras_serializable(package="bytecover_tf")
class HeardNotes(layers.Layer):
    """Hears the notes in a fine transform, with a network that learns no more.

    Beside what the network hears there is a channel of what sounds whether or not it is
    a note: the loudest bin of each semitone, compressed by a logarithm, as far as it
    exceeds its mean over time.

    Drawn and real music look alike in what is heard, so an encoder that reads it may
    learn from drawn versions.

    Args:
        filters: of the `NoteNetwork`. Give it the weights of one that was trained.
        **kwargs: as for any Keras layer.

    Input shape:
        `(batch, 3 * semitones, frames, 1)`: amplitudes of 36 bins an octave of a whole
        recording, at any gain.

    Output shape:
        `(batch, semitones, ceil(frames / 2), 4)`: how likely a note sounds, how likely
        one begins, how likely it is the melody, 0 to 1, and how loud the semitone is.

    Raises:
        ValueError: the bins are not three a semitone.

    Example:
        >>> HeardNotes(8)(keras.random.uniform((1, 252, 40, 1))).shape
        TensorShape([1, 84, 20, 4])
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
        """Return what is heard, and how loud it is."""
        mean = ops.mean(inputs, axis=(1, 2, 3), keepdims=True)
        x = inputs / (mean + _TINY)
        # An odd last frame gets a silent one beside it.
        frames = (ops.shape(x)[2] + 1) // 2 * 2
        x = ops.pad(x, [[0, 0], [0, 0], [0, 1], [0, 0]])[:, :, :frames]
        heard = ops.sigmoid(self.network(x, training=False))
        # ONNX has no log1p.
        loud = ops.log(1.0 + x / KNEE)
        # Keras's JAX backend needs the strides.
        semitone, pair = (BINS_PER_SEMITONE, 1), (1, 2)
        loud = ops.max_pool(loud, semitone, strides=semitone)
        loud = _LOUDNESS * ops.average_pool(loud, pair, strides=pair)
        loud = ops.relu(loud - ops.mean(loud, axis=2, keepdims=True))
        return ops.concatenate([heard, ops.cast(loud, heard.dtype)], axis=-1)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, semitones, ceil(frames / 2), 4)`."""
        batch, bins, frames, _ = input_shape
        return (
            batch,
            None if bins is None else bins // BINS_PER_SEMITONE,
            None if frames is None else -(-frames // 2),
            len(HEARD) + 1,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "filters": self.filters}
