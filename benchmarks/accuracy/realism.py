"""How do features drawn from scores differ from those of recordings?

    python -m benchmarks.accuracy.realism --source DIR --drawn NAME=DIR [NAME=DIR ...]

The first DIR holds the national anthems as `python -m benchmarks.accuracy.anthems`
reads them, of which the test split is not looked at; the others are sets that `python
-m bytecover_tf.synth.draw` wrote, of which validation works are taken. What a network
learns from drawn features carries over as far as these resemble recordings.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.labelled import POOL, read_anthems
from benchmarks.common.report import table, write_section
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.stores.feature_store import FeatureStore

RECORDINGS = 300
# A frame quieter than this share of the loudest bin is silence.
SILENT = 0.02
PERCENTILES = (10, 50, 90)


def decibels(x: np.ndarray) -> np.ndarray:
    """Return decibels below the loudest bin, -80 at least."""
    return 20 * np.log10(x / x.max() + 1e-4)


def peaks(x: np.ndarray) -> np.ndarray:
    """Return which bins exceed both neighbours, within 30 dB: (n_bins - 2, T)."""
    middle = x[1:-1]
    return (middle > x[:-2]) & (middle > x[2:]) & (decibels(x)[1:-1] > -30)


def peak_height(x: np.ndarray) -> float:
    """Return the median of decibels by which peaks exceed their neighbours' mean."""
    energy = x**2 + 1e-9 * x.max() ** 2
    around = (energy[:-2] + energy[2:]) / 2
    return float(np.median(10 * np.log10(energy[1:-1] / around)[peaks(x)]))


def centroid(x: np.ndarray) -> float:
    """Return the bin at the centre of the energy."""
    energy = (x**2).mean(axis=1)
    return float(energy @ np.arange(len(energy)) / energy.sum())


def lowest_octave(x: np.ndarray) -> float:
    """Return the mean of the square roots of the lowest octave, over that of all."""
    return float(np.sqrt(x[:12]).mean() / np.sqrt(x).mean())


def flux(x: np.ndarray) -> float:
    """Return the mean change from frame to frame of square roots, over their mean."""
    roots = np.sqrt(x)
    return float(np.abs(np.diff(roots, axis=1)).mean() / roots.mean())


MEASURES: dict[str, Callable[[np.ndarray], float]] = {
    "quietest twentieth of the bins, dB": lambda x: float(
        np.quantile(decibels(x), 0.05)
    ),
    "median bin, dB": lambda x: float(np.median(decibels(x))),
    "peaks a frame": lambda x: float(peaks(x).sum(axis=0).mean()),
    "height of a peak, dB": peak_height,
    "centre of the energy, bins": centroid,
    "lowest octave, over the mean": lowest_octave,
    "change a frame, over the mean": flux,
}


def measure(recordings: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return each measure of each recording's frames that are not silent."""
    heard = [x[:, x.max(axis=0) > SILENT * x.max()] for x in recordings]
    return {
        name: np.array([compute(x) for x in heard])
        for name, compute in MEASURES.items()
    }


def read_recordings(source: Path) -> list[np.ndarray]:
    """Return features (84, T) of the recordings outside the test split."""
    frontend = Frontend(pool=POOL)
    return [
        frontend.from_cqt(item.cqt, POOL, item.name)
        for split in ("train", "validation")
        for item in read_anthems(source, split)
    ]


def read_drawn(folder: Path) -> list[np.ndarray]:
    """Return features (n_bins, T) of some recordings of a drawn set's unseen works."""
    store = FeatureStore(folder / "store")
    unseen = [track for track in tunes.load(folder) if track.split == "validation"]
    chosen = np.random.default_rng(0).permutation(len(unseen))[:RECORDINGS]
    return [np.asarray(store.features(unseen[i].path), np.float32) for i in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--drawn", nargs="+", metavar="NAME=DIR", required=True)
    options = parser.parse_args()
    sets = {"anthems": read_recordings(options.source)}
    for text in options.drawn:
        name, _, folder = text.partition("=")
        sets[name] = read_drawn(Path(folder))
    measured = {name: measure(recordings) for name, recordings in sets.items()}
    rows = []
    for measure_name in MEASURES:
        row = [measure_name]
        for values in measured.values():
            low, middle, high = np.percentile(values[measure_name], PERCENTILES)
            row.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
        rows.append(row)
    body = (
        "The median over recordings, and the range that holds four fifths of them: "
        + ", ".join(f"{len(found)} of `{name}`" for name, found in sets.items())
        + ". Only frames of 0.46 s that are not silent count. The anthems are those "
        "of the train and validation splits; the drawn sets give their validation "
        "works.\n\n" + table(["", *sets], rows)
    )
    write_section(
        "drawing",
        "Drawn features and recordings",
        "python -m benchmarks.accuracy.realism --source DIR --drawn "
        + " ".join(f"{name}=DIR" for name in [*sets][1:]),
        body,
    )


if __name__ == "__main__":
    main()
