"""How well does a network hear what its teacher hears in recordings new to it?

    python -m benchmarks.accuracy.hearing --source DIR [--hearing FILE ...] [--write]

DIR holds labelled recordings (`stores.labelled_store`). Those with the role `dev` are
heard, and the notes and onsets above each pitch's median are correlated with the
teacher's, as means over 0.46 s: so much of them reaches a chroma.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.audio.hearing import DEFAULT_HEARING, Hearing
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.labelled_store import (
    HEARD_PITCHES,
    LabelledFeatures,
    LabelledStore,
)

# Columns of the store in a frame of chroma.
_COLUMNS = 4


def agreement(hearing: Hearing, features: LabelledFeatures) -> tuple[float, float]:
    """Return the correlations of notes and of onsets with the labels."""
    magnitudes = features.amplitudes("cqt36")
    frames = magnitudes.shape[1] // _COLUMNS
    heard = hearing.hear(magnitudes)[:2, :, : _COLUMNS // 2 * frames]
    labels = np.stack([features.notes, features.onsets])[:, HEARD_PITCHES]
    pairs = zip(
        _standing_out(heard, frames),
        _standing_out(labels[..., : _COLUMNS * frames], frames),
        strict=True,
    )
    notes, onsets = (
        float(np.corrcoef(one.ravel(), other.ravel())[0, 1]) for one, other in pairs
    )
    return notes, onsets


def _standing_out(values: np.ndarray, frames: int) -> np.ndarray:
    """Return means (2, 84, frames) above each pitch's median."""
    means = values.reshape(*values.shape[:2], frames, -1).mean(axis=3)
    return np.maximum(means - np.median(means, axis=2, keepdims=True), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument(
        "--hearing",
        type=Path,
        nargs="*",
        default=[],
        help="ONNX files, beside the package's own",
    )
    parser.add_argument("--write", action="store_true", help="write into the results")
    options = parser.parse_args()
    store = LabelledStore(options.source)
    recordings = [one for one in store if one.role == "dev" and one.kind == "full"]
    rows = []
    networks = {"of the package": DEFAULT_HEARING}
    networks |= {path.stem: Hearing(str(path)) for path in options.hearing}
    for name, hearing in networks.items():
        figures = np.array(
            [
                agreement(hearing, store.features(one))
                for one in progress_bar(recordings, unit="recording", desc=name)
            ]
        )
        worst = np.percentile(figures, 10, axis=0)
        cells = (f"{value:.3f}" for value in (*figures.mean(axis=0), *worst))
        rows.append([name, *cells])
    header = ["network", "notes", "onsets", "notes, worst tenth", "onsets, worst tenth"]
    report = (
        f"{len(recordings)} recordings with the role `dev`: correlation with the "
        "teacher's notes and onsets, as the mean over recordings and as the value "
        f"that a tenth of them stay below:\n\n{table(header, rows)}"
    )
    print(report)
    if options.write:
        write_section(
            "alignment",
            "Hearing",
            command_of("accuracy.hearing", parser, options),
            report,
        )


if __name__ == "__main__":
    main()
