"""Labelled recordings on the training device, which cuts and augments them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.note_network import BINS_PER_SEMITONE
from bytecover_tf.stores.labelled_store import HEARD_PITCHES, LabelledFeatures

FRAMES = 128
"""Frames of a crop, 15 seconds."""
KNOTS = 8
"""Points of an equaliser's curve, evenly spaced over the bins."""
NOISE_FRAMES = 4096
"""Length of the noise, in frames, that crops take theirs from."""

_SEMITONES = 84
_BINS = BINS_PER_SEMITONE * _SEMITONES
# The value that stands for 1 in each kind of label.
_LABELS = {"notes": 255, "onsets": 255, "melody": 1}


@dataclass(frozen=True)
class Place:
    """Where a recording lies in a `NoteTable`.

    Attributes:
        first: its first row.
        frames: its length in rows.
        step: natural logarithm by which one code is louder than the code below it.
        has_notes: whether its notes and onsets are labelled.
        has_melody: whether its melody is labelled.
    """

    first: int
    frames: int
    step: float
    has_notes: bool
    has_melody: bool


class NoteTable(keras.layers.Layer):
    """Recordings as bytes in the memory of the device that trains; returns crops.

    The host sends only places and random numbers, so an accelerator need not wait for
    it. A crop is first made louder or softer by the equaliser's curve, then noise is
    added, then it is moved to another key; what comes in at the edge is empty.

    Args:
        recordings: what the table holds, in this order; half a kilobyte a frame.

    Call arguments:
        crops: what to return, arrays by name:

            - `first` int (batch,), first row of each crop
            - `step` float (batch,), as of `Place`
            - `decibels` float (batch, KNOTS), the equaliser's curve
            - `noise` float (batch,), level in means of the recording
            - `noise_first` int (batch,), first row of the noise, of `NOISE_FRAMES`
            - `bins` int (batch,), by how many bins the sound is moved up
            - `semitones` int (batch,), by how many semitones its labels are

    Returns:
        `magnitudes`, float32 (batch, 252, FRAMES, 1), amplitudes in means of the
        recording, and `heard`, float32 (batch, 84, FRAMES / 2, 3), notes, onsets and
        melody from 0 to 1.
    """

    def __init__(self, recordings: Sequence[LabelledFeatures]) -> None:
        super().__init__(dtype="float32", trainable=False)
        lengths = [one.cqt36.shape[1] for one in recordings]
        firsts = np.cumsum([0, *lengths])
        codes = np.empty((firsts[-1], _BINS), np.uint8)
        labels = np.zeros((firsts[-1], _SEMITONES, len(_LABELS)), np.uint8)
        self.places: tuple[Place, ...] = tuple(
            Place(
                int(first),
                length,
                float(one.scale[1, 1]) / 255,
                one.notes is not None,
                one.melody is not None,
            )
            for one, first, length in zip(recordings, firsts, lengths, strict=False)
        )
        for one, place in zip(recordings, self.places, strict=True):
            rows = slice(place.first, place.first + place.frames)
            codes[rows] = one.cqt36.T
            for channel, (name, unit) in enumerate(_LABELS.items()):
                values = getattr(one, name)
                if values is not None:
                    labels[rows, :, channel] = values[HEARD_PITCHES].T * (255 // unit)
        noise = np.abs(np.random.default_rng(0).normal(size=(NOISE_FRAMES, _BINS)))
        self._codes, self._labels, self._noise = (
            keras.Variable(values, trainable=False, dtype=values.dtype.name)
            for values in (codes, labels, noise.astype(np.float32))
        )
        at = np.linspace(0, KNOTS - 1, _BINS)
        self._between_knots = np.stack(
            [np.interp(at, np.arange(KNOTS), knot) for knot in np.eye(KNOTS)]
        ).astype(np.float32)
        self.built = True

    def call(self, crops: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Cut and augment crops."""
        frames = ops.arange(FRAMES, dtype="int32")
        rows = crops["first"][:, None] + frames
        codes = ops.cast(ops.take(self._codes, rows, axis=0), "float32")
        # The code is a logarithm over a tenth of the mean.
        magnitudes = ops.expm1(codes * crops["step"][:, None, None]) / 10
        decibels = ops.matmul(crops["decibels"], self._between_knots)
        magnitudes = magnitudes * ops.power(10.0, decibels / 20)[:, None]
        noise = ops.take(self._noise, crops["noise_first"][:, None] + frames, axis=0)
        magnitudes = magnitudes + crops["noise"][:, None, None] * noise
        magnitudes = _moved(magnitudes, crops["bins"])

        labels = ops.cast(ops.take(self._labels, rows, axis=0), "float32") / 255
        pairs = ops.reshape(labels, (-1, FRAMES // 2, 2, _SEMITONES, len(_LABELS)))
        heard = _moved(ops.mean(pairs, axis=2), crops["semitones"])
        return {
            "magnitudes": ops.transpose(magnitudes, (0, 2, 1))[..., None],
            "heard": ops.transpose(heard, (0, 2, 1, 3)),
        }


def _moved(values: Tensor, rows: Tensor) -> Tensor:
    """Move each array of a batch up along its third axis; what comes in is empty."""
    size = values.shape[2]
    source = ops.arange(size, dtype="int32") - rows[:, None]
    inside = ops.cast((source >= 0) & (source < size), values.dtype)
    shape = (-1, 1, size, *[1] * (len(values.shape) - 3))
    source = ops.reshape(ops.clip(source, 0, size - 1), shape)
    return ops.take_along_axis(values, source, axis=2) * ops.reshape(inside, shape)
