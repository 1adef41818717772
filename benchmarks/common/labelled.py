"""Recordings of known works as |CQT| averaged over 20 frames, and clips of them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.stores.feature_store import FeatureStore

POOL = 20
SECONDS = POOL * Frontend().hop_length / Frontend().sample_rate

LENGTHS: tuple[float | None, ...] = (None, 60.0, 30.0, 20.0, 10.0)
"""Seconds of a query; None is the whole recording."""


@dataclass(frozen=True)
class Labelled:
    """A recording, the work it performs, and |CQT| (84, T) over 20 frames."""

    name: str
    work: str
    cqt: np.ndarray


def read_anthems(folder: Path, split: str) -> list[Labelled]:
    """Read `cqt_mean20.npz` and `recordings.csv`."""
    arrays = np.load(folder / "cqt_mean20.npz")
    with open(folder / "recordings.csv", newline="") as file:
        return [
            Labelled(row["recording"], row["work"], _float(arrays[row["recording"]]))
            for row in csv.DictReader(file)
            if row["split"] == split
        ]


def read_tunes() -> list[Labelled]:
    """Return the test works of the embedded set, each recording's maximum being 1."""
    store = FeatureStore(tunes.STORE)
    return [
        Labelled(track.id, track.work, store.features(track.path))
        for track in tunes.load()
        if track.split == "test"
    ]


def clip(
    cqt: np.ndarray, seconds: float | None, rng: np.random.Generator
) -> np.ndarray:
    """Return a part of a recording that starts anywhere; all of it if it is short."""
    if seconds is None:
        return cqt
    count = round(seconds / SECONDS)
    start = rng.integers(max(cqt.shape[1] - count, 0) + 1)
    return cqt[:, start : start + count]


def length_name(seconds: float | None) -> str:
    """Return what a table calls a length."""
    return "whole" if seconds is None else f"{seconds:g} s"


def _float(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)
