"""The constant-Q transform inside a model's graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from bytecover_tf.audio.constant_q import highest_passed, plan
from bytecover_tf.audio.estimated_means import BlockOctave, block_octaves
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.layers.tensor import Tensor

# One step of a convolution covers about this many samples. With fewer, its matrix
# products become narrow; with more, they are mostly zeros.
_STEP = 64
# TensorFlow's convolution is fast for kernels of a multiple of this many samples.
_VECTOR = 16
# Taps on each side of a decimator's middle one, for each factor of decimation. Beyond
# the long ones, soxr's response lies 120 dB below its peak. At the two highest rates,
# where most of the work is, a shorter response is enough. The difference shows only in
# the cut at the two ends, which lasts longer at lower rates.
_LONG = 96
_SHORT = 32


class _FilterBank(NamedTuple):
    """Filters that one strided convolution applies at a regular interval."""

    kernel: np.ndarray  # (samples, 1, applications in a step * outputs)
    step: int  # samples
    outputs: int


class _Level(NamedTuple):
    """What is done to the signal at one sample rate, padded with zeros."""

    front: int
    back: int
    # Outputs all real parts, then all imaginary ones, of one value or of several.
    transform: _FilterBank | None
    weights: np.ndarray  # (values, 1), of those that become one pooled frame
    decimation: _FilterBank | None
    factor: int


@keras.saving.register_keras_serializable(package="bytecover_tf")
class CQT(keras.layers.Layer):
    """Turns waveforms into the features that the encoder reads.

    The result equals `Frontend.features` for each recording: |CQT| by librosa's
    algorithm, averaged over `pool` frames without the incomplete tail, or the estimate
    of that mean where the frontend estimates, and divided by the recording's own
    maximum if the frontend says so. Like librosa it goes down octave by octave. librosa
    computes an octave as an STFT times a basis; here a strided convolution with one
    complex FIR filter per bin gives the same linear map. Between two octaves the layer
    decimates with the impulse response of soxr, as librosa does, so that even the cut
    at a recording's first and last sample comes out alike. On music, pooled
    values within 60 dB of the maximum differ by 1e-6 in the median and 5e-4 at worst.

    The layer has no weights, computes in float32 under any dtype policy, and needs
    only operations that every ONNX runtime has. All recordings of a batch have one
    length; zeros appended to a shorter one become frames of their own.

    A graph cannot raise the errors of `Frontend.features`. Fewer samples than
    `Frontend.min_samples` give T = 0. Silence, or NaN or overflow anywhere but in the
    dropped tail, makes all features of that recording NaN, under either normalisation,
    so that no embedding of it can be mistaken for one. Sound too faint for `load_audio`
    counts as sound here.

    Args:
        frontend: parameters of the features, or their dict.
        **kwargs: as for any Keras layer.

    Raises:
        ConfigError: the top bin's filter reaches beyond half the sample rate, which
            librosa refuses too.

    Input shape:
        `(batch, samples)` at `frontend.sample_rate`

    Output shape:
        `(batch, n_bins, T, 1)` with T = (1 + samples // hop_length) // pool

    Example:
        >>> waveforms = keras.random.normal((2, 10 * 22050))
        >>> CQT(Frontend())(waveforms).shape
        TensorShape([2, 84, 4, 1])

    Reference:
        - Schoerkhuber and Klapuri, "Constant-Q transform toolbox for music
          processing", SMC 2010
        - `librosa.vqt` of librosa 0.11
    """

    def __init__(self, frontend: Frontend | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if not isinstance(frontend, Frontend):
            frontend = Frontend.from_dict(frontend)
        self.frontend = frontend
        self._levels = _levels(frontend)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check the input's rank."""
        if len(input_shape) != 2:
            raise ValueError(
                "CQT needs input of shape (batch, samples). "
                f"Received: input_shape={input_shape}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        """Return the features of `inputs`."""
        samples = ops.shape(inputs)[1]
        frames = self._frames(samples)
        signal = ops.expand_dims(inputs, -1)
        octaves = []
        for level in self._levels:
            # On an odd length oneDNN's convolution takes gigabytes, and fails. tf2onnx
            # takes the remainder of a negative number for negative.
            length = level.front + samples + level.back
            back = level.back + _STEP - length % _STEP
            padded = ops.pad(signal, [[0, 0], [level.front, back], [0, 0]])
            # LiteRT loses sight of the one channel, which its convolution must know.
            padded = ops.reshape(padded, (ops.shape(inputs)[0], -1, 1))
            if level.transform is not None:
                parts = _apply(level.transform, padded)
                octaves.append(_pooled(parts, level.weights, frames))
            if level.decimation is not None:
                # librosa cuts off where the filter rings on, and rounds the length.
                samples = (samples + level.factor // 2) // level.factor
                signal = _apply(level.decimation, padded)[:, :samples]
        features = self._normalized(ops.concatenate(octaves[::-1], axis=-1))
        return ops.expand_dims(ops.transpose(features, (0, 2, 1)), -1)

    def _frames(self, samples: Tensor) -> Tensor:
        """Return the number of pooled frames."""
        hop, first = self.frontend.hop_length, self._levels[0]
        if first.transform is None and not self.frontend.estimated:
            # librosa counts what its decimation before the first octave leaves.
            samples, hop = -(-samples // first.factor), hop // first.factor
        return (1 + samples // hop) // self.frontend.pool

    def _normalized(self, features: Tensor) -> Tensor:
        total = ops.sum(features, axis=(1, 2), keepdims=True)
        scale = ops.ones_like(total)
        if self.frontend.normalization == "max":
            scale = ops.max(features, axis=(1, 2), keepdims=True, initial=0)
        # A maximum can miss NaN; a sum cannot.
        sound = ops.logical_and(total > 0, total < np.inf)
        return features / ops.where(sound, scale, np.nan)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, n_bins, T, 1)`."""
        batch, samples = input_shape
        frames = None if samples is None else self._frames(samples)
        return (batch, self.frontend.n_bins, frames, 1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "frontend": self.frontend.to_dict()}


def _apply(bank: _FilterBank, signal: Tensor) -> Tensor:
    """Return (batch, applications, outputs) of a signal (batch, samples, 1)."""
    result = ops.conv(
        signal, bank.kernel, strides=bank.step, data_format="channels_last"
    )
    return ops.reshape(result, (ops.shape(signal)[0], -1, bank.outputs))


def _pooled(parts: Tensor, weights: np.ndarray, frames: Tensor) -> Tensor:
    """Return the means of one octave's magnitudes as (batch, frames, bins)."""
    values, bins = len(weights), parts.shape[-1] // 2
    blocks = (ops.shape(parts)[0], frames, values, bins)
    power = ops.square(parts[..., :bins]) + ops.square(parts[..., bins:])
    magnitudes = ops.sqrt(power[:, : frames * values])
    return ops.sum(ops.reshape(magnitudes, blocks) * weights, axis=2)


def _levels(frontend: Frontend) -> list[_Level]:
    """Return the levels from the highest sample rate down."""
    octaves = _octaves(frontend)
    frame = frontend.hop_length * frontend.pool
    early = octaves[0].factor
    # The short decimator passes the lower octave up to 0.85 of the new half rate.
    passed = highest_passed(frontend)
    narrow = passed < 0.8 * frontend.sample_rate / 2 / early
    # An estimate begins at a lower rate, and what hears notes in it magnifies errors.
    short = narrow and not frontend.estimated
    levels = []
    if early > 1:
        levels.append(_level(frame, None, early, _LONG))
    for number, octave in enumerate(octaves):
        sides = _SHORT if short and number < 2 else _LONG
        last = number == len(octaves) - 1
        levels.append(_level(frame // octave.factor, octave, 1 if last else 2, sides))
    return levels


def _octaves(frontend: Frontend) -> Sequence[BlockOctave]:
    """Return the octaves from the highest down."""
    size = frontend.pool
    if frontend.estimated:
        return block_octaves(frontend, size)
    weights = np.full(size, 1 / size, np.float32)
    places = frontend.hop_length * np.arange(size)
    return [
        BlockOctave(octave.factor, octave.filters, places // octave.factor, weights)
        for octave in plan(frontend)
    ]


def _level(frame: int, octave: BlockOctave | None, factor: int, sides: int) -> _Level:
    """Return the level that transforms an octave if any, and decimates if factor > 1.

    Args:
        frame: samples of a pooled frame.
        octave: its filters and where in a pooled frame they are applied.
        factor: factor of the decimation.
        sides: taps of the decimator on each side, for each factor.
    """
    half = 0 if octave is None else octave.filters.shape[1] // 2
    side = 0 if factor == 1 else sides * factor
    front = max(half, side)
    transform = decimation = None
    weights = np.ones(0, np.float32)
    if octave is not None:
        parts = np.concatenate([octave.filters.real, octave.filters.imag])
        transform = _filter_bank(parts, front - half, frame, octave.offsets)
        weights = octave.weights
    if factor > 1:
        taps = _decimator(factor, sides)[np.newaxis]
        decimation = _filter_bank(taps, front - side, factor)
    longest = max(len(bank.kernel) for bank in (transform, decimation) if bank)
    back = longest - front
    return _Level(front, back, transform, weights[:, np.newaxis], decimation, factor)


def _filter_bank(
    filters: np.ndarray,
    delay: int,
    interval: int,
    offsets: Sequence[int] | np.ndarray = (0,),
) -> _FilterBank:
    """Lay filters out as one kernel.

    Several applications in one step make the convolution a dense matrix product.

    Args:
        filters: (outputs, taps).
        delay: samples to skip before the first application.
        interval: samples after which the offsets repeat.
        offsets: where in an interval the filters are applied.
    """
    gap = interval / len(offsets)
    if np.array_equal(offsets, gap * np.arange(len(offsets))):
        interval, offsets = int(gap), (0,)
    outputs, taps = filters.shape
    repeats = max(1, _STEP // interval)
    starts = np.add.outer(delay + interval * np.arange(repeats), offsets).ravel()
    length = math.ceil((starts.max() + taps) / _VECTOR) * _VECTOR
    kernel = np.zeros((length, 1, len(starts), outputs), np.float32)
    for number, start in enumerate(starts):
        kernel[start : start + taps, 0, number] = filters.T
    return _FilterBank(kernel.reshape(length, 1, -1), repeats * interval, outputs)


def _decimator(factor: int, sides: int) -> np.ndarray:
    """Return soxr's impulse response, tapered to (2 * sides * factor + 1,) taps."""
    import soxr

    middle = 2 * _LONG * factor
    shown = []
    for phase in range(factor):  # one impulse shows every factor-th tap
        impulse = np.zeros(2 * middle)
        impulse[middle - phase] = 1
        shown.append(soxr.resample(impulse, factor, 1, "HQ"))
    side = sides * factor
    taps = np.stack(shown, axis=1).reshape(-1)[middle - side : middle + side + 1]
    if sides < _LONG:
        taps = taps * np.kaiser(len(taps), 10)  # stops 100 dB
    return taps / taps.sum()
