"""The network that hears notes in a fine constant-Q transform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from bytecover_tf.audio.chroma import HEARD
from bytecover_tf.layers.batch_norm import BatchNormalization
from bytecover_tf.layers.conv2d import Conv2D
from bytecover_tf.layers.salience import HARMONICS, stack_harmonics
from bytecover_tf.layers.semitones import BINS_PER_SEMITONE, check_fine_bins
from bytecover_tf.layers.tensor import Tensor

# A note's surroundings, two octaves, a second, three seconds.
KERNELS = ((5, 5), (25, 1), (3, 7), (1, 15))
# The logarithm compresses amplitudes above this multiple of the recording's mean.
KNEE = 0.1


@keras.saving.register_keras_serializable(package="bytecover_tf")
class NoteNetwork(keras.Model):
    """Hears which notes sound, which begin, and which are the melody.

    As in `layers.Salience`, copies of the transform are shifted so that the harmonics
    of a note lie on top of each other. Three bins per semitone tell a note from its
    neighbours and from vibrato; frames of a tenth of a second tell when it begins. The
    first convolution leaves one bin per semitone and the second halves the frame rate.
    The others are residual.

    Training minimises the cross-entropy of all three, with soft labels. Few recordings
    are labelled with their melody, and some with nothing else. A recording adds nothing
    to the loss of an output that it has no labels for; each loss is still a mean over
    the whole batch.

    Args:
        filters: channels of the hidden convolutions.
        kernels: sizes of the residual convolutions, (semitones, frames).
        melody_weight: factor of the melody's loss.
        **kwargs: as for any Keras model.

    Input shape:
        `(batch, 3 * semitones, frames, 1)`: amplitudes of 36 bins an octave, in means
        of the whole recording; an even number of frames.

    Output shape:
        `(batch, semitones, frames / 2, 3)`: one value before the logistic function for
        each of `HEARD`.

    Example:
        >>> NoteNetwork(8)(keras.random.uniform((1, 252, 40, 1))).shape
        TensorShape([1, 84, 20, 3])

    Reference:
        - Bittner et al., "Deep salience representations for F0 estimation in
          polyphonic music", ISMIR 2017
        - the labels of notes and onsets: Bittner et al., "A lightweight
          instrument-agnostic model for polyphonic note transcription and multipitch
          estimation", ICASSP 2022
    """

    def __init__(
        self,
        filters: int = 24,
        kernels: Sequence[tuple[int, int]] = KERNELS,
        melody_weight: float = 3.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(
                f"`filters` must be at least 1. Received: filters={filters}"
            )
        self.filters = filters
        self.kernels = tuple(map(tuple, kernels))
        self.melody_weight = melody_weight
        policy = {"dtype": self.dtype_policy}
        convolution = {"padding": "same", "use_bias": False, **policy}
        self.convolutions = [
            Conv2D(
                filters,
                (5, 5),
                strides=(BINS_PER_SEMITONE, 1),
                name="semitones",
                **convolution,
            ),
            Conv2D(filters, (3, 3), strides=(1, 2), name="halved", **convolution),
            *(
                Conv2D(filters, size, name=f"added{i}", **convolution)
                for i, size in enumerate(self.kernels, 1)
            ),
        ]
        self.norms = [
            BatchNormalization(momentum=0.95, name=f"{one.name}_norm", **policy)
            for one in self.convolutions
        ]
        self.heard = layers.Conv2D(len(HEARD), 1, name="heard", **policy)
        self.trackers = {
            name: keras.metrics.Mean(name=name) for name in ("loss", *HEARD)
        }

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        check_fine_bins("NoteNetwork", input_shape)
        channels = len(HARMONICS)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            convolution.build((None, None, None, channels))
            norm.build((None, None, None, self.filters))
            channels = self.filters
        self.heard.build((None, None, None, self.filters))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return the logits of what is heard."""
        # ONNX has no log1p. The two differ only far below any note.
        x = ops.log(1.0 + ops.squeeze(inputs, -1) / KNEE)
        x = stack_harmonics(x, BINS_PER_SEMITONE)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            y = convolution(x, training=training)
            y = ops.relu(norm(y, training=training))
            x = x + y if convolution.name.startswith("added") else y
        return self.heard(x)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, semitones, frames / 2, 3)`."""
        batch, bins, frames, _ = input_shape
        return (
            batch,
            None if bins is None else bins // BINS_PER_SEMITONE,
            None if frames is None else frames // 2,
            len(HEARD),
        )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means that `fit` shows and resets."""
        return list(self.trackers.values())

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Return the sum of the losses and record each.

        Args:
            x: not used.
            y: `heard`, what the output should be after the logistic function, and
                booleans (batch,): `has_notes`, where notes and onsets are labelled, and
                `has_melody`, where the melody is.
            y_pred: the logits.
            sample_weight: not used.
            training: not used.
        """
        entropy = ops.binary_crossentropy(y["heard"], y_pred, from_logits=True)
        notes, onsets, melody = ops.unstack(ops.mean(entropy, axis=(1, 2)), 3, axis=-1)
        has_notes, has_melody = (
            ops.cast(y[key], melody.dtype) for key in ("has_notes", "has_melody")
        )
        losses = {
            "notes": ops.mean(notes * has_notes),
            "onsets": ops.mean(onsets * has_notes),
            "melody": ops.mean(melody * has_melody),
        }
        total = (
            losses["notes"] + losses["onsets"] + self.melody_weight * losses["melody"]
        )
        for name, value in {"loss": total, **losses}.items():
            self.trackers[name].update_state(value)
        return total

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernels": self.kernels,
            "melody_weight": self.melody_weight,
        }
