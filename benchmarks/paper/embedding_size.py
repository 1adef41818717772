"""What does the size of an embedding cost (the paper's table 2)?

    python -m benchmarks.paper.embedding_size [--steps N] [--width 16] [--data-root DIR]
        [--anthems DIR]

Trains ByteCover with embeddings of 128, 256, 512 and 2048 numbers. The backbone's own
size is 32 x width and is taken as it is; every other size is made by a dense layer, as
the paper does for 128 and 256. Beside them stand MOVE with its 16 000 numbers, and
Re-MOVE, which learns 256 from it. Data and searches are those of
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
    trained,
)

# MAP on Da-TACOS in the paper.
SIZES = {128: ".615", 256: ".653", 512: "", 2048: ".714"}
OTHERS = {"MOVE": (16000, ".507"), "Re-MOVE": (256, ".524")}


def train_size(size: int, options: argparse.Namespace) -> Run:
    """Train ByteCover with embeddings of one size."""
    if size == 32 * options.width:
        return on_pitch_classes("bytecover", "bytecover", options)
    change = f"embedding_dim={size}"
    return on_pitch_classes(f"bytecover-{size}", "bytecover", options, changes=[change])


def train_others(options: argparse.Namespace) -> dict[str, Run]:
    """Train MOVE, and Re-MOVE with it as teacher; both read pitch classes anyway."""
    sizes = {name: f"embedding_dim={size}" for name, (size, _) in OTHERS.items()}
    move = trained("move-16000", "move", options, changes=[sizes["MOVE"]])
    changes = [sizes["Re-MOVE"]]
    remove = trained("remove-256", "remove", options, changes=changes, teacher=move)
    return {"MOVE": move, "Re-MOVE": remove}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, steps=6000)
    options = parser.parse_args()
    collections = read_collections(options)
    systems = []
    for size, published in SIZES.items():
        own = " (no projection)" if size == 32 * options.width else ""
        run = train_size(size, options)
        systems.append((f"{size}{own}", size, published, run))
    for name, run in train_others(options).items():
        size, published = OTHERS[name]
        systems.append((f"{name}, {size}", size, published, run))
    rows = [
        [
            collection.name,
            label,
            f"{4 * size / 1024:g} KiB",
            published,
            *row(collection.search(run.similarity(collection)), collection),
        ]
        for collection in collections
        for label, size, published, run in systems
    ]
    minutes = sum(run.figures["seconds"] for *_, run in systems) / 60
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
