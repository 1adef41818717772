"""Features that Da-TACOS and CoversBR publish in place of audio, as constant-Q spectra.

A `.h5` file of acoss (github.com/furkanyesiler/acoss, saved by deepdish) holds pitch
classes as arrays of shape (frames, 12), a frame each 512 samples at 44.1 kHz:

    crema          estimated by a network; what MOVE reads; from C
    hpcp           harmonic pitch class profiles; what Qmax reads; from A
    chroma_cens    librosa's, from C

The first that is there is laid into one octave of an otherwise silent spectrum. What
folds octaves to pitch classes then reads it as it is: `--config move`, networks with
`pitch_classes=True`, and alignment. The paper's 84 bins need more than an octave.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bytecover_tf.audio.constant_q import Transform
from bytecover_tf.errors import AudioError

# Feature and its first pitch class, counted from C.
_FEATURES = {"crema": 0, "hpcp": 9, "chroma_cens": 0}
_SECONDS = 512 / 44100
# Pitch class of the lowest note is 0 for this frequency, C1.
_C1 = 32.703196


def read_published(path: str | Path, transform: Transform) -> np.ndarray:
    """Return a file's pitch classes as a |CQT|.

    Args:
        path: a `.h5` file of acoss.
        transform: parameters of the spectrum: 12 bins an octave, whole octaves, and
            frames that are whole numbers of acoss's, as by default.

    Returns:
        float32 (n_bins, frames).

    Raises:
        AudioError: the file cannot be read or has none of the features, or the
            parameters are others.
    """
    ratio = transform.hop_length / transform.sample_rate / _SECONDS
    count = round(ratio)
    if (
        transform.bins_per_octave != 12
        or transform.n_bins % 12
        or count < 1
        or abs(ratio - count) > 1e-9
    ):
        raise AudioError(
            f"{path}: published pitch classes need whole octaves of 12 bins and frames "
            f"of a multiple of {_SECONDS * 1000:.2f} ms, not of {ratio:g} times that"
        )
    name, classes = _read(path)
    whole = len(classes) // count * count
    if not whole:
        raise AudioError(f"{path}: {name} has {len(classes)} frames, expected {count}")
    means = classes[:whole].reshape(-1, count, 12).mean(axis=1).T
    lowest = round(12 * np.log2(transform.fmin / _C1))
    octave = np.roll(means, _FEATURES[name] - lowest, axis=0)
    spectrum = np.zeros((transform.n_bins, means.shape[1]), np.float32)
    # The middle one, which no fold leaves out.
    start = transform.n_bins // 12 // 2 * 12
    spectrum[start : start + 12] = octave
    return spectrum


def _read(path: str | Path) -> tuple[str, np.ndarray]:
    """Return the name of the first feature that a file has, and its frames."""
    try:
        import h5py
    except ImportError:
        raise AudioError(f"{path}: needs h5py (pip install h5py)") from None
    try:
        with h5py.File(path, "r") as file:
            names = [name for name in _FEATURES if name in file]
            if not names:
                raise AudioError(
                    f"{path}: expected one of {', '.join(_FEATURES)}, found "
                    + (", ".join(file) or "none")
                )
            item = file[names[0]]
            classes = np.asarray(item) if isinstance(item, h5py.Dataset) else None
    except OSError as error:
        raise AudioError(f"{path}: not a readable .h5 file ({error})") from None
    if (
        classes is None
        or classes.dtype.kind != "f"
        or classes.ndim != 2
        or classes.shape[1] != 12
    ):
        raise AudioError(
            f"{path}: expected {names[0]} to be numbers of shape (frames, 12), found "
            + ("a group" if classes is None else f"{classes.dtype} {classes.shape}")
        )
    return names[0], classes.astype(np.float32)
