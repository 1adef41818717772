"""What does the first command of the README reach, and how long does it take?

    python -m benchmarks.first_training [--seeds 1]

Trains the config `tunes` on the embedded data, as `python -m bytecover_tf.train` does,
and reports the figures on unseen works beside chance and beside simple baselines that
need no training.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.report import cells, table, write_section
from bytecover_tf import train
from bytecover_tf.data import tunes
from bytecover_tf.evaluation import search
from bytecover_tf.feature_store import FeatureStore


def chance(tracks: list) -> dict:
    """Search by random vectors."""
    vectors = np.random.default_rng(0).standard_normal((len(tracks), 64))
    return search(tracks, _unit_norm(vectors)).metrics


def _unit_norm(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="number of runs")
    parser.add_argument("--work-dir", type=Path, default=Path("runs/first-training"))
    options = parser.parse_args()
    runs = []
    for seed in range(options.seeds):
        run_dir = options.work_dir / f"seed-{seed}"
        started = (run_dir / "run.json").exists()
        request = ["--resume"] if started else ["--seed", str(seed)]
        train.main(["--run-dir", str(run_dir), *request])
        runs.append(json.loads((run_dir / "metrics.json").read_text()))

    test = [track for track in tunes.load() if track.split == "test"]
    store = FeatureStore(tunes.STORE)
    means = np.stack([store.features(track.path).mean(axis=1) for track in test])
    rows = [
        ["random vectors", *cells(chance(test))],
        ["mean spectrum", *cells(search(test, _unit_norm(means)).metrics)],
    ]
    for seed, run in enumerate(runs):
        rows.append([f"untrained network, seed {seed}", *cells(run["before"])])
        rows.append([f"trained network, seed {seed}", *cells(run)])
    minutes = ", ".join(f"{run['seconds'] / 60:.1f}" for run in runs)
    body = (
        f"{len(test)} versions of {len({t.work for t in test})} works that are "
        "not in the training, each searched among the others. Minutes of training, "
        f"validation included: {minutes}.\n\n"
        + table(["", "MAP [95%]", "P@10", "MR1"], rows)
    )
    write_section("First training", "python -m benchmarks.first_training", body)


if __name__ == "__main__":
    main()
