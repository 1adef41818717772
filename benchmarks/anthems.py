"""Does training on real recordings help on works that it has not seen?

    python -m benchmarks.anthems --source DIR [--work-dir DIR]

DIR holds `cqt_mean20.npz`, one (84, T) array of |CQT| averaged over 20 frames for
each recording of a national anthem, and `recordings.csv` with recording, work and
split. Trains on the train split and compares on the validation split: the mean
spectrum, the untrained network and the trained one. The test split is not looked at.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import keras
import numpy as np

from benchmarks.baselines import mean_spectrum
from benchmarks.report import cells, table, write_section
from bytecover_tf import train
from bytecover_tf.config import load_config, override
from bytecover_tf.data import load_dataset
from bytecover_tf.data.track import Track
from bytecover_tf.encoder import Encoder, KerasNetwork
from bytecover_tf.evaluation import choose_split, evaluate_tracks
from bytecover_tf.feature_store import FeatureStore
from bytecover_tf.models.bytecover import ByteCover

SETTINGS = [
    "blocks=(3, 4, 6, 3)",
    "width=32",
    "crop_frames=(14, 20, 28)",
    "augment.transpose=0.5",
    "augment.tilt_decibels=12.0",
    "augment.mask_frames=0.3",
    "learning_rate=1e-3",
    "triplet_from_epoch=2",
    "steps_per_epoch=150",
    "epochs=20",
]
# An untrained network's figures depend much on its seed.
UNTRAINED_SEEDS = range(1, 5)


def write_manifest(source: Path, work_dir: Path) -> Path:
    """Unpack train and validation recordings beside a manifest."""
    work_dir.mkdir(parents=True, exist_ok=True)
    arrays = np.load(source / "cqt_mean20.npz")
    manifest = work_dir / "manifest.csv"
    with (
        open(source / "recordings.csv", newline="") as listed,
        open(manifest, "w", newline="") as written,
    ):
        rows = csv.writer(written)
        rows.writerow(["id", "work", "path", "split"])
        for row in csv.DictReader(listed):
            name = f"{row['recording']}.npy"
            if row["split"] == "test":
                continue
            np.save(work_dir / name, arrays[row["recording"]])
            rows.writerow([row["recording"], row["work"], name, row["split"]])
    return manifest


def untrained(tracks: list[Track], store: FeatureStore, seed: int) -> dict:
    """Search by the embeddings of a network with random weights."""
    keras.utils.set_random_seed(seed)
    config = override(load_config("tunes"), SETTINGS)
    model = ByteCover(**config.model_arguments())
    model.build((None, 84, None, 1))
    encoder = Encoder(KerasNetwork(model, store.frontend))
    return evaluate_tracks(encoder, tracks, store).metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, default=Path("runs/anthems"))
    parser.add_argument("--seeds", type=int, default=1, help="number of runs")
    options = parser.parse_args()
    manifest = write_manifest(options.source, options.work_dir)
    features = options.work_dir / "features"
    runs = []
    for seed in range(options.seeds):
        run_dir = options.work_dir / f"run-{seed}"
        started = (run_dir / "run.json").exists()
        request = (
            ["--resume"]
            if started
            else [
                *("--config", "tunes", "--data", "manifest"),
                *("--data-root", str(manifest)),
                *("--features", str(features), "--source-pool", "20"),
                *("--seed", str(seed)),
                *(part for setting in SETTINGS for part in ("--set", setting)),
            ]
        )
        train.main(["--run-dir", str(run_dir), *request])
        runs.append(json.loads((run_dir / "metrics.json").read_text()))

    store = FeatureStore(features)
    tracks = choose_split(load_dataset("manifest", manifest), "validation")
    rows = [["mean spectrum", *cells(mean_spectrum(tracks, store))]]
    for seed in UNTRAINED_SEEDS:
        figures = untrained(tracks, store, seed)
        rows.append([f"untrained network, weights of seed {seed}", *cells(figures)])
    for seed, run in enumerate(runs):
        rows.append([f"untrained network, seed {seed}", *cells(run["before"])])
        rows.append([f"trained network, seed {seed}", *cells(run)])
    queries = runs[0]["queries"]
    body = (
        f"Real recordings of national anthems: {queries} validation recordings, each "
        "searched among the others. Half-width ResNet50-IBN, trained on the train "
        f"split for {runs[0]['epochs']} epochs of 150 steps of 32 crops "
        f"({runs[0]['seconds'] / 60:.0f} minutes). The best epoch is chosen on these "
        "same recordings, so the trained figures are somewhat favourable; the test "
        "split was not looked at.\n\n"
        + table(["", "MAP [95%]", "P@10", "MR1"], rows)
        + "\n\nSettings over the config `tunes`: "
        + ", ".join(f"`{setting}`" for setting in SETTINGS)
        + "."
    )
    write_section(
        "Training on real recordings",
        "python -m benchmarks.anthems --source DIR",
        body,
    )


if __name__ == "__main__":
    main()
