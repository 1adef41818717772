"""What does the first command of the README reach, and how long does it take?

    python -m benchmarks.accuracy.first_training [--seeds 1]

Trains the config `quick` on the embedded data, as `python -m bytecover_tf.train` does,
and reports the figures on unseen works beside chance and beside simple baselines that
need no training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.common.baselines import chance, mean_spectrum
from benchmarks.common.report import cells, table, write_section
from bytecover_tf.configs import load_config
from bytecover_tf.data import tunes
from bytecover_tf.evaluation.protocol import choose_split
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.training.run import TrainingRun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="number of runs")
    parser.add_argument("--work-dir", type=Path, default=Path("runs/first-training"))
    options = parser.parse_args()
    runs = []
    for seed in range(options.seeds):
        run = TrainingRun(load_config("quick"), "quick", seed=seed)
        runs.append(run.finish(options.work_dir / f"seed-{seed}"))

    test = choose_split(tunes.load(), "test")
    rows = [
        ["random vectors", *cells(chance(test))],
        ["mean spectrum", *cells(mean_spectrum(test, FeatureStore(tunes.STORE)))],
    ]
    for seed, run in enumerate(runs):
        rows.append([f"untrained network, seed {seed}", *cells(run["before"])])
        rows.append([f"trained network, seed {seed}", *cells(run)])
    minutes = ", ".join(f"{run['seconds'] / 60:.1f}" for run in runs)
    processor = ", ".join(f"{run['cpu_seconds'] / 60:.1f}" for run in runs)
    body = (
        f"{len(test)} versions of {len({t.work for t in test})} works that are not in "
        "the training, each searched among the others. Minutes of training, with "
        f"validation: {minutes}; of processor time: {processor}. Where the former are "
        "more than half of the latter, other work ran beside the training.\n\n"
        + table(["", "MAP [95%]", "P@10", "MR1"], rows)
    )
    write_section(
        "encoders",
        "First training",
        f"python -m benchmarks.accuracy.first_training --seeds {options.seeds}",
        body,
    )


if __name__ == "__main__":
    main()
