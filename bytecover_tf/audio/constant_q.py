"""The constant-Q transform, octave by octave as librosa computes it.

`librosa.cqt` computes an octave as an STFT times a basis. One complex FIR filter per
bin gives the same linear map, and we keep those filters. A matrix product then replaces
the Fourier transforms, and we need neither librosa nor SciPy's signal package, which
take a second to import.

Reference:
    - Schoerkhuber and Klapuri, "Constant-Q transform toolbox for music processing",
      SMC 2010
    - `librosa.vqt` of librosa 0.11
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import soxr

from bytecover_tf.errors import AudioError, ConfigError

# How many frames are multiplied at once, and how many multiplications that may be. Both
# are small enough that OpenBLAS does not split the work among threads, which would wait
# for one another on a busy machine and get in the way of other processes.
_BLOCK = 64
_PRODUCT = 2**19
# How many blocks have their magnitudes computed together.
_BLOCKS = 8
# librosa drops this share of a filter's spectrum, the weakest frequencies.
_SPARSITY = 0.01


@dataclass(frozen=True)
class Transform:
    """Parameters of the transform; the defaults are the paper's.

    Attributes:
        sample_rate: in Hz.
        hop_length: samples between two frames of the transform.
        n_bins: number of frequency bins.
        bins_per_octave: bins per octave; 12 makes one bin a semitone.
        fmin: centre frequency of the lowest bin in Hz (C1).
        window: name of the analysis window, as SciPy knows it.

    Raises:
        ConfigError: a value is out of range, or two of them do not fit together.
    """

    sample_rate: int = 22050
    hop_length: int = 512
    n_bins: int = 84
    bins_per_octave: int = 12
    fmin: float = 32.70319566257483
    window: str = "hann"

    def __post_init__(self) -> None:
        for name in ("sample_rate", "hop_length", "n_bins", "bins_per_octave"):
            check_positive(self, name)
        kind = type(self).__name__
        try:
            highest = self.fmin * 2 ** ((self.n_bins - 1) / self.bins_per_octave)
        except OverflowError:
            highest = math.inf
        if not self.fmin > 0 or highest >= self.sample_rate / 2:
            raise ConfigError(
                f"{kind}: n_bins={self.n_bins} from fmin={self.fmin} Hz reach "
                f"{highest:.0f} Hz; they must lie between 0 and half the sample rate "
                f"{self.sample_rate} Hz"
            )
        # The transform halves the hop with every octave it goes down.
        octaves = math.ceil(self.n_bins / self.bins_per_octave)
        if self.hop_length % 2 ** (octaves - 1):
            raise ConfigError(
                f"{kind}: hop_length={self.hop_length} must be a multiple of "
                f"{2 ** (octaves - 1)} for {octaves} octaves"
            )

    @property
    def frequencies(self) -> np.ndarray:
        """Centre frequencies of the bins in Hz."""
        return self.fmin * 2 ** (np.arange(self.n_bins) / self.bins_per_octave)

    @property
    def bandwidth(self) -> float:
        """Bandwidth of a bin in its centre frequency; a filter has 1 / it cycles."""
        ratio = 2 ** (2 / self.bins_per_octave)
        return (ratio - 1) / (ratio + 1)


def check_positive(parameters: Transform, name: str) -> None:
    """Refuse a parameter that is not a positive integer.

    Raises:
        ConfigError: it is not; the message names it.
    """
    value = getattr(parameters, name)
    if not isinstance(value, int) or not 1 <= value < 2**31:
        raise ConfigError(
            f"{type(parameters).__name__}: {name} must be a positive integer "
            f"below 2**31, not {value!r:.40}"
        )


@dataclass(frozen=True)
class Octave:
    """Filters of one octave.

    Attributes:
        factor: by which the sample rate is divided before they are applied.
        filters: complex (bins, taps), to be correlated with the signal around every
            frame; from the lowest bin up.
    """

    factor: int
    filters: np.ndarray


class Signal:
    """A waveform, also available at lower sample rates.

    Each rate is computed on first use, so several transforms of one signal can share
    it.

    Args:
        samples: float32 (samples,).
    """

    def __init__(self, samples: np.ndarray) -> None:
        self._by_factor = {1: samples}

    def __len__(self) -> int:
        return len(self._by_factor[1])

    def decimated(self, factor: int) -> np.ndarray:
        """Return float32 (samples / factor,), rounded up.

        Args:
            factor: by which to divide the sample rate, a power of two.
        """
        if factor not in self._by_factor:
            nearest = max(other for other in self._by_factor if other < factor)
            length = -(-len(self) // factor)
            samples = soxr.resample(
                self._by_factor[nearest], factor // nearest, 1, "HQ"
            )[:length]
            padded = np.pad(samples, (0, length - len(samples)))
            self._by_factor[factor] = padded
        return self._by_factor[factor]


def magnitudes(signal: Signal, transform: Transform) -> np.ndarray:
    """Return |CQT| of a waveform.

    Args:
        signal: at the transform's sample rate.
        transform: its parameters.

    Returns:
        float32 (n_bins, 1 + len(signal) // hop_length), what `librosa.cqt` returns up
        to rounding.

    Raises:
        ConfigError: the top bin's filter reaches beyond half the sample rate.
    """
    parts = []
    for octave in plan(transform):
        samples = signal.decimated(octave.factor)
        hop = transform.hop_length // octave.factor
        centres = np.arange(0, len(samples) + 1, hop)
        parts.append(correlated(samples, octave.filters, centres))
    frames = min(part.shape[1] for part in parts)
    return np.concatenate([part[:, :frames] for part in parts[::-1]])


def check_magnitudes(values: np.ndarray, n_bins: int, name: str) -> np.ndarray:
    """Check a |CQT| that was computed elsewhere, and return it as an array.

    Args:
        values: (n_bins, frames).
        n_bins: how many bins there must be.
        name: what an error message calls the recording.

    Raises:
        AudioError: wrong shape, not finite or negative.
    """
    values = np.asarray(values)
    if values.ndim != 2 or len(values) != n_bins:
        raise AudioError(
            f"{name}: expected a |CQT| of shape ({n_bins}, frames), "
            f"found {values.shape}"
        )
    # NaN is the minimum and the maximum of what has one.
    if values.size and not (values.min() >= 0 and np.isfinite(values.max())):
        raise AudioError(f"{name}: a |CQT| must be finite and not negative")
    return values


@lru_cache(maxsize=8)
def plan(transform: Transform) -> tuple[Octave, ...]:
    """Return the filters of a transform, from the highest octave down.

    Raises:
        ConfigError: the top bin's filter reaches beyond half the sample rate.
    """
    per_octave = transform.bins_per_octave
    count = math.ceil(transform.n_bins / per_octave)
    frequencies, bandwidth = transform.frequencies, transform.bandwidth
    passed = highest_passed(transform)
    nyquist = transform.sample_rate / 2
    # How often the octaves allow the hop to be halved, and the top bin the sample rate.
    hop = transform.hop_length
    halvings = (hop & -hop).bit_length() - count
    spare = min(halvings, math.ceil(math.log2(nyquist / passed)) - 2)
    early = 2 ** max(0, spare)
    octaves = []
    for number in range(count):
        end = transform.n_bins - number * per_octave
        factor = early * 2**number
        inside = frequencies[max(0, end - per_octave) : end]
        lengths = transform.sample_rate / early / (bandwidth * inside)
        filters = _filters(lengths / 2**number, 1 / bandwidth, transform.window)
        # librosa resamples to equal energy, and its basis makes up for the rate.
        scale = math.sqrt(factor * 2**number) / np.sqrt(lengths)
        octaves.append(Octave(factor, filters * scale[:, np.newaxis]))
    return tuple(octaves)


def highest_passed(transform: Transform) -> float:
    """Return the highest frequency that a filter passes, in Hz.

    Raises:
        ConfigError: it lies beyond half the sample rate.
    """
    # The window's main lobe widens what a filter passes.
    lobe = _window(transform.window, 1000)
    widening = 500 * transform.bandwidth * (lobe**2).sum() / lobe.sum() ** 2
    cutoff = float(transform.frequencies[-1] * (1 + widening))
    if cutoff > transform.sample_rate / 2:
        raise ConfigError(
            f"CQT: the top bin's filter reaches {cutoff:.0f} Hz, beyond half the "
            f"sample rate {transform.sample_rate} Hz; lower fmin or n_bins"
        )
    return cutoff


def wavelet(length: float, quality: float, window: str) -> np.ndarray:
    """Return a complex filter whose magnitudes add up to 1.

    Args:
        length: in samples, not a whole number.
        quality: cycles in it.
        window: as SciPy knows it.
    """
    time = np.arange(-length // 2, length // 2)
    result = np.exp(2j * np.pi * quality / length * time)
    result *= _window(window, len(time))
    return result / np.abs(result).sum()


def _filters(lengths: np.ndarray, quality: float, window: str) -> np.ndarray:
    """Return complex filters (bins, taps), to be correlated with the signal.

    librosa multiplies the STFT by the filters' spectra, without their weakest and their
    negative frequencies.

    Args:
        lengths: of the filters in samples, not whole numbers.
        quality: cycles in a filter.
        window: as SciPy knows it.
    """
    taps = 2 ** math.ceil(math.log2(lengths.max()))
    wavelets = np.zeros((len(lengths), taps), np.complex64)
    for row, length in zip(wavelets, lengths, strict=True):
        centred = wavelet(length, quality, window)
        start = (taps - len(centred)) // 2
        row[start : start + len(centred)] = centred
    spectra = np.fft.fft(wavelets * (lengths[:, np.newaxis] / taps))
    spectra = spectra[:, : taps // 2 + 1].astype(np.complex64)
    size = np.abs(spectra)
    ascending = np.sort(size, axis=1)
    share = np.cumsum(ascending / size.sum(axis=1, keepdims=True), axis=1)
    kept = np.argmin(share < _SPARSITY, axis=1)
    least = np.take_along_axis(ascending, kept[:, np.newaxis], axis=1)
    return np.fft.fft(np.where(size >= least, spectra, 0), n=taps)


def _window(name: str, length: int) -> np.ndarray:
    if name == "hann":  # without SciPy's signal package, which is slow to import
        return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    from scipy.signal import get_window

    return get_window(name, length)


def correlated(
    samples: np.ndarray, filters: np.ndarray, centres: np.ndarray
) -> np.ndarray:
    """Return the magnitude of each filter's response at given places of a signal.

    Args:
        samples: float32 (samples,); beyond its ends there is silence.
        filters: complex (bins, taps).
        centres: int (places,), where the middle of the filters is put, from 0 to
            `samples`.

    Returns:
        float32 (bins, places).
    """
    bins, taps = filters.shape
    kernel = np.concatenate([filters.real, filters.imag]).T.astype(np.float32)
    padded = np.pad(samples, (taps // 2, taps - taps // 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
    span = max(1, _PRODUCT // (_BLOCK * 2 * bins))
    spans = [slice(first, first + span) for first in range(0, taps, span)]
    result = np.empty((len(centres), bins), np.float32)
    parts = np.empty((_BLOCKS * _BLOCK, 2 * bins), np.float32)
    for start in range(0, len(result), len(parts)):
        part = parts[: len(result) - start]
        for row in range(0, len(part), _BLOCK):
            product = part[row : row + _BLOCK]
            several = windows[centres[start + row :][: len(product)]]
            np.matmul(several[:, spans[0]], kernel[spans[0]], out=product)
            for some in spans[1:]:
                product += np.matmul(several[:, some], kernel[some])
        np.square(part, out=part)
        power = part[:, :bins] + part[:, bins:]
        np.sqrt(power, out=result[start : start + len(part)])
    return result.T
