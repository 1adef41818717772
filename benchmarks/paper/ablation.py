"""What does each part of ByteCover add (the paper's table 3)?

    python -m benchmarks.paper.ablation [--seeds 3] [--steps N] [--width 16]
        [--data-root DIR] [--anthems DIR]

Trains every rung of the ablation with several seeds, all of them on pitch classes, on
the embedded data or, with --data-root, on a set that `bytecover_tf.synth.draw` made,
and searches unseen works, human variants and, with --anthems, real recordings (see
`benchmarks.paper.tables`). A command that was killed goes on with the training that it
was at.
"""

from __future__ import annotations

import argparse

from benchmarks.common.report import command_of, table, write_section
from benchmarks.paper.tables import (
    ON_PITCH_CLASSES,
    Collection,
    Difference,
    Run,
    about_collections,
    about_data,
    add_arguments,
    mean_scores,
    on_pitch_classes,
    read_collections,
    row_of_seeds,
    verdict,
)
from bytecover_tf.metrics import QueryScores

# A rung's config, what it adds, and its MAP in the paper on Da-TACOS and SHS100K-TEST.
RUNGS = {
    "baseline": ("baseline", ".546 / .683"),
    "ibn": ("+ IBN", ".617 / .734"),
    "bnneck": ("+ BNNeck", ".698 / .802"),
    "bytecover": ("+ GeM (ByteCover)", ".714 / .836"),
    "naive": ("both losses, no BNNeck", ""),
}
# The last rung is not part of the order: it is ByteCover less one part.
STEPS = (("baseline", "ibn"), ("ibn", "bnneck"), ("bnneck", "bytecover"))
MERGE = ("naive", "bytecover")

Scores = dict[str, dict[str, list[QueryScores]]]


def searched(
    runs: dict[str, list[Run]], collections: list[Collection]
) -> dict[str, dict[str, list[QueryScores]]]:
    """Return the scores of each collection's queries, for each rung and seed."""
    return {
        collection.name: {
            rung: [collection.search(run.similarity(collection)) for run in seeds]
            for rung, seeds in runs.items()
        }
        for collection in collections
    }


def rows(scores: Scores, collections: list[Collection]) -> list[list[str]]:
    """Return MAP, P@10 and MR1 in the mean over seeds, and each seed's MAP."""
    made = []
    for collection in collections:
        for rung, (label, paper) in RUNGS.items():
            found = row_of_seeds(scores[collection.name][rung], collection)
            made.append([collection.name, label, paper, *found])
    return made


def differences(scores: Scores, collection: Collection) -> list[tuple[str, Difference]]:
    """Return what each step of the ablation changes, and what BNNeck does last."""
    means = {
        rung: mean_scores(seeds) for rung, seeds in scores[collection.name].items()
    }
    return [
        (
            RUNGS[after][0] if (before, after) in STEPS else "BNNeck between both",
            Difference.between(means[before], means[after], collection.works),
        )
        for before, after in (*STEPS, MERGE)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", type=int, default=3, help="number of runs of each rung"
    )
    add_arguments(parser, steps=6000)
    options = parser.parse_args()
    collections = read_collections(options)
    runs: dict[str, list[Run]] = {rung: [] for rung in RUNGS}
    # All rungs of a seed first, so that a broken-off table can be judged.
    for seed in range(options.seeds):
        for rung in RUNGS:
            runs[rung].append(on_pitch_classes(rung, rung, options, seed))
    scores = searched(runs, collections)
    changes = {
        collection.name: differences(scores, collection) for collection in collections
    }
    seconds = sum(run.figures["seconds"] for seeds in runs.values() for run in seeds)
    body = "\n\n".join(
        [
            about_data(options)
            + f"{ON_PITCH_CLASSES} Seeds: {options.seeds}; minutes in all: "
            f"{seconds / 60:.0f}.",
            about_collections(collections),
            table(
                ["", "", "paper: Da-TACOS / SHS100K-TEST", "MAP [95%]", "P@10", "MR1",
                 "MAP by seed"],
                rows(scores, collections),
            ),
            "What each part adds to MAP, paired over the same queries:",
            table(
                ["", *(label for label, _ in next(iter(changes.values())))],
                [
                    [name, *(str(change) for _, change in steps)]
                    for name, steps in changes.items()
                ],
            ),
            "\n".join(
                f"- {name}: {verdict(steps[: len(STEPS)])}"
                for name, steps in changes.items()
            ),
        ]
    )  # fmt: skip
    write_section(
        "paper",
        "Ablation (the paper's table 3)",
        command_of("paper.ablation", parser, options, ["work_dir"]),
        body,
    )


if __name__ == "__main__":
    main()
