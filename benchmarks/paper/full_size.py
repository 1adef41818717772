"""Does the paper's full-size network learn on a CPU?

    python -m benchmarks.paper.full_size [--epochs 5] [--work-dir DIR]

Trains the config `bytecover` (ResNet50-IBN, batches of 32) on the embedded data for
some short epochs and reports the losses and the time of a step. The run stays where it
is, so that the network's latency can be measured (`benchmarks.speed.latency`).
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.configs import load_config
from bytecover_tf.training.run import TrainingRun

STEPS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--work-dir", type=Path, default=Path("runs/full-size"))
    options = parser.parse_args()
    config = replace(
        load_config("bytecover"), epochs=options.epochs, steps_per_epoch=STEPS
    )
    TrainingRun(config, "bytecover").finish(options.work_dir)
    with open(options.work_dir / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("classification", "triplet", "loss")
    body = (
        f"ResNet50-IBN with the paper's settings on `tunes`, {STEPS} steps an epoch, "
        "batches of 32 x 84 x 40, 60 or 80 frames. Mean losses of each epoch; seconds "
        "include the validation, not the checkpoint, and in the first epoch the "
        "building of the graph.\n\n"
        + table(
            ["epoch", *names, "seconds"],
            [
                [row["epoch"], *(f"{float(row[n]):.3f}" for n in names), row["seconds"]]
                for row in rows
            ],
        )
    )
    write_section(
        "paper",
        "Full-size training on a CPU",
        command_of("paper.full_size", parser, options, ["work_dir"]),
        body,
    )


if __name__ == "__main__":
    main()
