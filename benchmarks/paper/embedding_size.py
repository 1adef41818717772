"""What does the size of an embedding cost (the paper's table 2)?

    python -m benchmarks.paper.embedding_size [--steps N] [--width 16] [--data-root DIR]
        [--anthems DIR] [--rates 1e-3]

Trains ByteCover with embeddings of 128, 256, 512 and 2048 numbers. The backbone's own
size is 32 x width and is taken as it is; every other size is made by a dense layer, as
the paper does for 128 and 256. Beside them stand MOVE with its 16 000 numbers, and
Re-MOVE, which learns 256 from it. Data and searches are those of
`benchmarks.paper.ablation`, and so is the training at the backbone's own size, which is
shared. With several rates, MOVE and Re-MOVE are first trained for a tenth of the steps
at each, and take the one that lowers the loss most.
"""

from __future__ import annotations

import argparse
from functools import partial

from benchmarks.common.report import command_of, table, write_section
from benchmarks.paper.tables import (
    ON_PITCH_CLASSES,
    RATE,
    Run,
    Trainings,
    about_collections,
    about_data,
    add_arguments,
    add_rates_argument,
    at_best_rate,
    describe_rates,
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


def train_others(options: argparse.Namespace) -> dict[str, Trainings]:
    """Train MOVE, and Re-MOVE with it as teacher; both read pitch classes anyway."""
    others: dict[str, Trainings] = {}
    for label, config, teacher in (
        ("MOVE", "move", None),
        ("Re-MOVE", "remove", "MOVE"),
    ):
        size, _ = OTHERS[label]
        by = partial(trained, teacher=others[teacher].run if teacher else None)
        changes = [f"embedding_dim={size}"]
        others[label] = at_best_rate(by, f"{config}-{size}", config, options, changes)
    return others


def about_rates(others: dict[str, Trainings], options: argparse.Namespace) -> str:
    """Say which learning rates MOVE and Re-MOVE have."""
    tried = [
        f"{label} {describe_rates(other.rates)}"
        for label, other in others.items()
        if other.rates
    ]
    if not tried and options.rates == [RATE]:
        return ""
    if not tried:
        return f" The learning rate of MOVE and Re-MOVE is {options.rates[0]}."
    return (
        " The learning rates of MOVE and Re-MOVE are those by which a tenth of the "
        f"steps lowered the loss most (loss: {'; '.join(tried)})."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, steps=6000)
    add_rates_argument(parser)
    options = parser.parse_args()
    collections = read_collections(options)
    systems = []
    for size, published in SIZES.items():
        own = " (no projection)" if size == 32 * options.width else ""
        run = train_size(size, options)
        systems.append((f"{size}{own}", size, published, run))
    others = train_others(options)
    for name, other in others.items():
        size, published = OTHERS[name]
        systems.append((f"{name}, {size}", size, published, other.run))
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
    sizes = sum(run.figures["seconds"] for *_, run in systems[: len(SIZES)])
    minutes = (sizes + sum(other.seconds for other in others.values())) / 60
    body = "\n\n".join(
        [
            about_data(options)
            + f"{ON_PITCH_CLASSES} One seed, {minutes:.0f} minutes in all."
            + about_rates(others, options),
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
        command_of("paper.embedding_size", parser, options, ["work_dir"]),
        body,
    )


if __name__ == "__main__":
    main()
