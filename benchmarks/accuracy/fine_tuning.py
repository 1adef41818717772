"""Does training on from the package's encoder help on real recordings?

    python -m benchmarks.accuracy.fine_tuning --source DIR [--work-dir DIR]
        [--init NAME]

DIR holds the national anthems as `python -m benchmarks.accuracy.anthems` reads them.
Trains on the train split and compares on the validation split: the mean spectrum, the
network with random weights, the encoder as it is, and trained on. The test split is not
looked at.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.accuracy.anthems import trained, write_manifest
from benchmarks.accuracy.pretrained import (
    compare,
    mean_spectrum,
    untrained,
    with_encoder,
)
from benchmarks.common.labelled import read_anthems
from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.pretrained import DEFAULT

SETTINGS = [
    "embedding_dim=384",
    "crop_frames=(64, 96)",
    "learning_rate=2e-4",
    "warmup_steps=20",
    "steps_per_epoch=60",
    "epochs=4",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, default=Path("runs/fine-tuning"))
    parser.add_argument("--init", default=DEFAULT)
    options = parser.parse_args()
    manifest = write_manifest(options.source, options.work_dir)
    run_dir = options.work_dir / "run"
    features = options.work_dir / "features"
    figures = trained(run_dir, manifest, features, "small", SETTINGS, options.init)

    items = read_anthems(options.source, "validation")
    rows = [
        [name, *compare(items, embed)]
        for name, embed in (
            ("mean spectrum", mean_spectrum),
            ("untrained", with_encoder(untrained(options.init))),
            (options.init, with_encoder(load_encoder(options.init))),
            ("trained on", with_encoder(load_encoder(run_dir))),
        )
    ]
    body = (
        f"Real recordings of national anthems: {len(items)} validation recordings, "
        "each searched among the others, as they are and all repeated or cut to one "
        f"length. Trained on from `{options.init}` on the train split for "
        f"{figures['epochs']} epochs of 60 steps of 64 crops "
        f"({figures['seconds'] / 60:.0f} minutes). The best epoch, number "
        f"{figures['best_epoch']}, is chosen on these same recordings, whole, so the "
        "last row is somewhat favourable; the test split was not looked at.\n\n"
        + table(["", "MAP [95%]", "P@10", "MR1", "MAP at equal lengths [95%]"], rows)
        + "\n\nSettings over the config `small`: "
        + ", ".join(f"`{setting}`" for setting in SETTINGS)
        + "."
    )
    write_section(
        "encoders",
        "Training on real recordings, from the package's encoder",
        command_of("accuracy.fine_tuning", parser, options, ["work_dir"]),
        body,
    )


if __name__ == "__main__":
    main()
