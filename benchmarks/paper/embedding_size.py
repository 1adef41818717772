"""What does the size of an embedding cost (the paper's table 2)?

    python -m benchmarks.paper.embedding_size [--steps N] [--width 16] [--data-root DIR]
        [--anthems DIR]

Trains ByteCover with embeddings of 128, 256, 512 and 2048 numbers. The backbone's own
size is 32 x width and is taken as it is; every other size is made by a dense layer, as
the paper does for 128 and 256. Data and searches are those of
`benchmarks.paper.ablation`, and so is the training at the backbone's own size, which is
shared.
"""

from __future__ import annotations

import argparse

from benchmarks.common.report import table, write_section
from benchmarks.paper.tables import (
    ON_PITCH_CLASSES,
    Run,
    about_collections,
    about_data,
    add_arguments,
    command,
    on_pitch_classes,
    read_collections,
    row,
)

# MAP on Da-TACOS in the paper.
SIZES = {128: ".615", 256: ".653", 512: "", 2048: ".714"}


def train_size(size: int, options: argparse.Namespace) -> Run:
    """Train ByteCover with embeddings of one size."""
    if size == 32 * options.width:
        return on_pitch_classes("bytecover", "bytecover", options)
    change = f"embedding_dim={size}"
    return on_pitch_classes(f"bytecover-{size}", "bytecover", options, changes=[change])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, steps=6000)
    options = parser.parse_args()
    collections = read_collections(options)
    runs = {size: train_size(size, options) for size in SIZES}
    rows = []
    for collection in collections:
        for size, run in runs.items():
            own = " (no projection)" if size == 32 * options.width else ""
            scores = collection.search(run.similarity(collection))
            rows.append(
                [
                    collection.name,
                    f"{size}{own}",
                    f"{4 * size / 1024:g} KiB",
                    SIZES[size],
                    *row(scores, collection),
                ]
            )
    minutes = sum(run.figures["seconds"] for run in runs.values()) / 60
    body = "\n\n".join(
        [
            about_data(options)
            + f"{ON_PITCH_CLASSES} One seed, {minutes:.0f} minutes in all.",
            about_collections(collections),
            table(
                ["", "size", "a recording", "paper: MAP on Da-TACOS", "MAP [95%]",
                 "P@10", "MR1"],
                rows,
            ),
        ]
    )  # fmt: skip
    write_section(
        "paper",
        "Embedding size (the paper's table 2)",
        command("embedding_size", options),
        body,
    )


if __name__ == "__main__":
    main()
