"""From samples to the features that the encoder reads (paper, section 2.1).

A `Frontend` is the full set of parameters of that step. It travels with every
feature store, checkpoint and exported model, because features made with another
sample rate or pooling still have the right shape and silently ruin the result.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from bytecover_tf.audio import chroma
from bytecover_tf.audio.constant_q import Transform, check_magnitudes, check_positive
from bytecover_tf.audio.decoding import check_waveform, iter_audio
from bytecover_tf.audio.streaming import Average, StreamedTransform, mean_blocks
from bytecover_tf.errors import AudioError, ConfigError, FrontendMismatch
from bytecover_tf.files import JsonObject

if TYPE_CHECKING:
    from bytecover_tf.audio.hearing import Heard, Hearing

# A waveform is processed in blocks of this many samples, as a decoded file is.
_BLOCK = 2**16


LONGEST_WORK = 600.0
"""A recording that lasts longer, in seconds, is taken to hold several works, as an
album or a set does. It is embedded in parts."""


class Sound(NamedTuple):
    """What one pass over a recording yields.

    Attributes:
        features: float32 (n_bins, T).
        chroma: uint8 (12 * parts, n).
        heard: the notes, for an encoder that reads them beside these features; None if
            no network heard them, if it read another transform than they are of, or
            if the recording is longer than `LONGEST_WORK`.
        later: of a clip, the chroma of frames that begin half a frame later; None if no
            network heard notes, or of a recording of `hearing.LONGEST_CLIP` or more.
    """

    features: np.ndarray
    chroma: np.ndarray
    heard: Heard | None = None
    later: np.ndarray | None = None


@dataclass(frozen=True)
class Frontend(Transform):
    """Parameters of the constant-Q features; the defaults are the paper's.

    These are the parameters of `constant_q.Transform` and two more.

    Attributes:
        pool: number of frames averaged into one; an incomplete tail is dropped.
        normalization: `max` divides a recording's pooled features by their
            maximum, `none` leaves the amplitudes.
        estimated: whether `estimated_means` computes the pooled frames of audio, within
            1% and at a fifth of the time for 36 bins an octave; what hears notes reads
            the same.

    Raises:
        ConfigError: a value is out of range, or two of them do not fit together.
    """

    pool: int = 100
    normalization: Literal["max", "none"] = "max"
    estimated: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "pool")
        if self.normalization not in ("max", "none"):
            raise ConfigError(
                "Frontend: normalization must be 'max' or 'none', "
                f"not {self.normalization!r}"
            )

    # -- identity ---------------------------------------------------------------

    def to_dict(self) -> JsonObject:
        """Return the parameters by name; `estimated` where it is so.

        Without it they are those of earlier frontends, which did not know it.
        """
        parameters = dataclasses.asdict(self)
        if not self.estimated:
            del parameters["estimated"]
        return parameters

    @classmethod
    def from_dict(cls, parameters: JsonObject) -> Frontend:
        """Build a frontend from `to_dict`'s result.

        Raises:
            ConfigError: a name is unknown or a value out of range.
        """
        if not isinstance(parameters, dict):
            raise ConfigError(f"Frontend: expected parameters, found {parameters!r}")
        unknown = set(parameters) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ConfigError(f"Frontend: unknown parameters {sorted(unknown)}")
        return cls(**parameters)

    def to_json(self) -> str:
        """Return the parameters as JSON with sorted keys."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Frontend:
        """Build a frontend from `to_json`'s result."""
        return cls.from_dict(json.loads(text))

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change with any parameter."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def check_same(self, other: Frontend, where: str) -> None:
        """Refuse `other` if any parameter differs.

        Args:
            other: the frontend found in `where`.
            where: names the artifact for the message.

        Raises:
            FrontendMismatch: with each parameter that differs, both values shown.
        """
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        differing = [
            f"{name}: expected {mine[name]}, found {theirs[name]}"
            for name in mine
            if mine[name] != theirs[name]
        ]
        if differing:
            raise FrontendMismatch(
                f"{where}: features were made with another frontend ("
                + "; ".join(differing)
                + ")"
            )

    # -- lengths ----------------------------------------------------------------

    @property
    def seconds_per_frame(self) -> float:
        """Duration of one pooled frame in seconds (2.32 with the defaults)."""
        return self.pool * self.hop_length / self.sample_rate

    @property
    def min_samples(self) -> int:
        """Samples that fill the first pooled frame."""
        return (self.pool - 1) * self.hop_length

    def check_length(self, samples: int, name: str) -> None:
        """Refuse a waveform that fills no pooled frame.

        Args:
            samples: their number.
            name: what an error message calls the recording.

        Raises:
            AudioError: fewer than `min_samples`.
        """
        if samples < self.min_samples:
            raise self._too_short(name)

    def _too_short(self, name: str) -> AudioError:
        return AudioError(
            f"{name}: shorter than one pooled frame; at least "
            f"{self.min_samples / self.sample_rate:.2f} s are needed"
        )

    # -- features ---------------------------------------------------------------

    def features(self, samples: np.ndarray, name: str = "waveform") -> np.ndarray:
        """Return the features of a whole recording.

        Args:
            samples: float array (samples,) at `sample_rate`.
            name: what an error message calls the recording.

        Returns:
            float32 array (n_bins, T) with T = (1 + samples // hop_length) // pool.

        Raises:
            AudioError: the samples are not one-dimensional, not finite, silent or
                fewer than `min_samples`.
        """
        return self._features(self._blocks(samples, name), name)

    def features_with_chroma(
        self,
        samples: np.ndarray,
        name: str = "waveform",
        hearing: Hearing | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the features and the chroma of a whole recording.

        Args:
            samples: float array (samples,) at `sample_rate`.
            name: what an error message calls the recording.
            hearing: the network that hears the notes; None for chroma of
                the transform alone.

        Returns:
            What `features` returns, and uint8 chroma with `chroma.seconds_per_frame`
            a frame: `hearing.chroma`, or the (12, n) of `chroma.chroma_of_cqt`.

        Raises:
            AudioError: as `features`.
            ConfigError: `bins_per_octave` is not a multiple of 12, or `hearing` needs
                another sample rate or hop.
        """
        return self.sound(samples, name, hearing)[:2]

    def sound(
        self,
        samples: np.ndarray,
        name: str = "waveform",
        hearing: Hearing | None = None,
    ) -> Sound:
        """Return what `features_with_chroma` does and what was heard for it.

        Args:
            samples: as `features_with_chroma` takes them, and so are the others.
            name: what an error message calls the recording.
            hearing: the network that hears the notes.

        Raises:
            AudioError: as `features`.
            ConfigError: as `features_with_chroma`.
        """
        return self._sound(self._blocks(samples, name), name, hearing)

    def extract(self, path: str | Path, allow_truncated: bool = False) -> np.ndarray:
        """Return the features of an audio file of any length in bounded memory.

        Args:
            path: any file that `load_audio` reads.
            allow_truncated: as of `load_audio`.

        Returns:
            float32 array (n_bins, T).

        Raises:
            AudioError: as `load_audio`, or shorter than one pooled frame.
        """
        blocks = iter_audio(path, self.sample_rate, allow_truncated)
        return self._features(blocks, str(path))

    def extract_with_chroma(
        self,
        path: str | Path,
        hearing: Hearing | None = None,
        allow_truncated: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the features and the chroma of an audio file in one pass over it.

        Args:
            path: as `extract_sound` takes it.
            hearing: likewise.
            allow_truncated: likewise.

        Returns:
            As `features_with_chroma`.

        Raises:
            AudioError: as `extract`.
            ConfigError: as `features_with_chroma`.
        """
        return self.extract_sound(path, hearing, allow_truncated)[:2]

    def extract_sound(
        self,
        path: str | Path,
        hearing: Hearing | None = None,
        allow_truncated: bool = False,
    ) -> Sound:
        """Return what `extract_with_chroma` does and what was heard for it.

        Args:
            path: any file that `load_audio` reads.
            hearing: the network that hears the notes; None for chroma of
                the transform alone.
            allow_truncated: as of `load_audio`.

        Raises:
            AudioError: as `extract`.
            ConfigError: as `features_with_chroma`.
        """
        blocks = iter_audio(path, self.sample_rate, allow_truncated)
        return self._sound(blocks, str(path), hearing)

    def from_cqt(
        self, magnitudes: np.ndarray, source_pool: int = 1, name: str = "CQT"
    ) -> np.ndarray:
        """Pool and normalise a transform that was computed elsewhere.

        Args:
            magnitudes: |CQT| of shape (n_bins, frames), each column the mean of
                `source_pool` frames of the transform.
            source_pool: a divisor of `pool`.
            name: what an error message calls the recording.

        Returns:
            float32 array (n_bins, frames * source_pool // pool).

        Raises:
            AudioError: wrong shape, not finite, silent or shorter than one frame.
            ConfigError: `source_pool` does not divide `pool`.
        """
        if self.pool % source_pool:
            raise ConfigError(
                f"a CQT averaged over {source_pool} frames cannot be pooled to "
                f"{self.pool}; {source_pool} must divide it"
            )
        magnitudes = check_magnitudes(magnitudes, self.n_bins, name)
        return self._normalized(mean_blocks(magnitudes, self.pool // source_pool), name)

    def check_pooled(self, pooled: np.ndarray, name: str) -> None:
        """Refuse pooled frames that are no features, normalised or not.

        Args:
            pooled: (n_bins, T).
            name: what an error message calls the recording.

        Raises:
            AudioError: none, not finite or silent.
        """
        if pooled.shape[1] == 0:
            raise self._too_short(name)
        peak = pooled.max()
        if not np.isfinite(peak):
            raise AudioError(f"{name}: its |CQT| is not finite (NaN or infinity)")
        if not peak > 0:
            raise AudioError(
                f"{name}: silent between {self.fmin:.0f} Hz and the top bin"
            )

    def normalize(self, pooled: np.ndarray) -> None:
        """Normalise pooled frames in place; those of hours take much memory.

        Args:
            pooled: float32 (n_bins, T), or (batch, n_bins, T), where each recording is
                normalised by itself. Silence is left as it is.
        """
        if self.normalization == "max":
            peak = pooled.max(axis=(-2, -1), keepdims=True)
            pooled /= np.where(peak > 0, peak, 1)

    def _blocks(self, samples: np.ndarray, name: str) -> Iterator[np.ndarray]:
        samples = np.asarray(samples)
        check_waveform(samples, name)
        samples = samples.astype(np.float32, copy=False)
        return (samples[i : i + _BLOCK] for i in range(0, len(samples), _BLOCK))

    def _features(self, blocks: Iterator[np.ndarray], name: str) -> np.ndarray:
        (pooled,) = _averages(blocks, self.average)
        return self._normalized(pooled, name)

    def _sound(
        self, blocks: Iterator[np.ndarray], name: str, hearing: Hearing | None
    ) -> Sound:
        size = chroma.frames_per_chroma(self)
        if hearing is None:
            folded = Average(self.transform, size)
        else:
            hearing.check_rate(self)
            folded = hearing.average
        pooled, means = _averages(blocks, self.average, folded)
        self.check_pooled(pooled, name)
        heard = later = None
        if hearing is None:
            parts = chroma.chroma_of_cqt(means, size, self, name)
        else:
            seconds = pooled.shape[1] * self.seconds_per_frame
            for_encoder = folded == self.average and seconds <= LONGEST_WORK
            parts, heard, later = hearing.listen(means, for_encoder)
        # In place, so not before: `means` may be the same array.
        self.normalize(pooled)
        return Sound(pooled, parts, heard, later)

    def _normalized(self, pooled: np.ndarray, name: str) -> np.ndarray:
        self.check_pooled(pooled, name)
        self.normalize(pooled)
        return pooled

    @property
    def transform(self) -> Transform:
        """The parameters of the transform alone."""
        names = [field.name for field in dataclasses.fields(Transform)]
        return Transform(**{name: getattr(self, name) for name in names})

    @property
    def average(self) -> Average:
        """The average that a `StreamedTransform` computes for the features."""
        return Average(self.transform, self.pool, self.estimated)


def _averages(
    blocks: Iterator[np.ndarray], *averages: Average
) -> tuple[np.ndarray, ...]:
    # Features and hearing may read the same.
    distinct = list(dict.fromkeys(averages))
    stream = StreamedTransform(*distinct)
    for block in blocks:
        stream.add(block)
    found = dict(zip(distinct, stream.finish(), strict=True))
    return tuple(found[average] for average in averages)
