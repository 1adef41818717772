"""How does ByteCover compare with other systems on the same recordings (table 1)?

    python -m benchmarks.paper.comparison [--seeds 1] [--steps N] [--width 16]
        [--full-depth] [--rates 1e-3] [--data-root DIR] [--anthems DIR]

Trains ByteCover, CQT-Net, TPPNet, Ki-CNN and MOVE's network on the same data with the
same trainer, each with its own loss (see `benchmarks.paper.tables`), and sets them
beside Qmax and SiMPle, which need no training but chroma at 2 Hz: of the embedded set's
test works and of the anthems. With several rates, each network but ByteCover is first
trained for a tenth of the steps at each, and takes the one that lowers its loss most.
Further seeds have the rate of the first. A command that was killed goes on with the
training that it was at. What a network has found is kept in `results/comparison`, one
file for each seed, and its training is not repeated elsewhere.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.accuracy import alignment
from benchmarks.accuracy.alignment import by_qmax
from benchmarks.common.labelled import POOL
from benchmarks.common.report import command_of, report_file, table, write_section
from benchmarks.paper import simple_join
from benchmarks.paper.finished import Finished, finished
from benchmarks.paper.simple_join import by_simple, profiles
from benchmarks.paper.tables import (
    PITCH_CLASSES,
    RATE,
    Collection,
    Trainings,
    about_collections,
    about_data,
    add_arguments,
    add_rates_argument,
    at_best_rate,
    best_rate,
    describe_rates,
    digest_of,
    embedded,
    frontend_of,
    kept,
    on_pitch_classes,
    read_collections,
    row,
    row_of_seeds,
    settings,
    steps_per_epoch,
    trained,
)
from bytecover_tf.audio.chroma import chroma_of_cqt
from bytecover_tf.configs import load_config
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.encoders.model_file import encoder_checksum
from bytecover_tf.encoders.pretrained import locate
from bytecover_tf.encoders.runtimes import KerasNetwork
from bytecover_tf.files import content_hash
from bytecover_tf.matching import qmax as qmax_module
from bytecover_tf.matching.qmax import cross_recurrence, qmax
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.training.config import override

# A network's config, name, and its MAP in the paper on Da-TACOS and SHS100K-TEST.
NETWORKS = {
    "bytecover": ("ByteCover", ".714 / .836"),
    "cqtnet": ("CQT-Net", "- / .655"),
    "tppnet": ("TPPNet", "- / .465"),
    "kicnn": ("Ki-CNN", "- / .219"),
    "move": ("MOVE", ".507 / -"),
}
FOLDED = "folded"
ALL = {**NETWORKS, FOLDED: ("ByteCover on pitch classes", "")}
# What is compared pair by pair: name, the paper's MAP, all pairs at once, one pair.
PAIRWISE: dict[str, tuple[str, Callable, Callable]] = {
    "Qmax": (".365 / -", by_qmax, lambda a, b: qmax(cross_recurrence(a, b))),
    "SiMPle": (".332 / -", by_simple, profiles),
}
# The one of the package that reads 84 bins.
SHIPPED = "bytecover-small"
TIMED = 20
TIMED_PAIRWISE = 3


def milliseconds(count: int, size: int, ask: Callable[[int], object]) -> float:
    """Return the median time of `count` queries spread over a collection."""
    ask(0)
    times = []
    for query in np.linspace(0, size - 1, count).astype(int):
        start = time.perf_counter()
        ask(int(query))
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times))


def time_of_encoder(encoder: Encoder, features: list[np.ndarray]) -> float:
    """Return the time to embed a query and compare it with all embeddings."""
    embeddings = embedded(encoder, features)
    return milliseconds(
        TIMED,
        len(features),
        lambda query: embeddings @ embedded(encoder, [features[query]])[0],
    )


def untrained(name: str, options: argparse.Namespace) -> ByteCover:
    """Return a network before its first step, which is as quick as after its last.

    Args:
        name: a key of `ALL`.
        options: of the command.
    """
    config = load_config(config_of(name))
    folded = [PITCH_CLASSES] if name == FOLDED else []
    config = override(config, [*settings(config, options), *folded])
    model = ByteCover(config.architecture)
    model.build((None, config.frontend.n_bins, None, 1))
    return model


def time_of_pairs(compare: Callable, chromas: list[np.ndarray]) -> float:
    """Return the time to compare a query with all recordings, in one thread."""
    return milliseconds(
        TIMED_PAIRWISE,
        len(chromas),
        lambda query: [compare(chromas[query], chroma) for chroma in chromas],
    )


def chroma_of(collection: Collection) -> list[np.ndarray]:
    """Return chroma (12, n) at 2 Hz of each recording; it needs `cqts`."""
    assert collection.cqts is not None
    return [chroma_of_cqt(cqt, POOL) for cqt in collection.cqts]


def shipped(
    name: str, collection: Collection, options: argparse.Namespace
) -> list[str]:
    """Return the row of an encoder that comes with the package."""
    encoder = load_encoder(name)
    version = str(encoder_checksum(locate(name)))[:8]
    assert collection.cqts is not None
    features = [encoder.frontend.from_cqt(cqt, POOL) for cqt in collection.cqts]
    embeddings = kept(
        options.work_dir
        / f"{name}-{version}"
        / f"{collection.recordings}-{collection.digest}.npy",
        lambda: embedded(encoder, features),
    )
    found = row(collection.search(embeddings @ embeddings.T), collection)
    took = time_of_encoder(encoder, features)
    return [collection.name, f"{name}, as shipped", "", *found, "", f"{took:.1f}"]


def config_of(name: str) -> str:
    """Return the config of a network, a key of `ALL`."""
    return "bytecover" if name == FOLDED else name


def train(
    name: str, seed: int, rates: Sequence[str], options: argparse.Namespace
) -> Trainings:
    """Train a network, or take what an earlier call left.

    Args:
        name: a key of `ALL`.
        seed: of weights and batches.
        rates: learning rates, of which the best is taken.
        options: of the command.
    """
    by, config = on_pitch_classes if name == FOLDED else trained, config_of(name)
    asked = argparse.Namespace(**{**vars(options), "rates": rates})
    return at_best_rate(by, config, config, asked, seed=seed)


def rates_of(name: str, options: argparse.Namespace) -> list[str]:
    """Return the learning rates that a network may have; ByteCover's was chosen."""
    return [RATE] if config_of(name) == "bytecover" else options.rates


def about_training(
    name: str,
    seed: int,
    rates: Sequence[str],
    options: argparse.Namespace,
    collections: Sequence[Collection],
) -> list[str]:
    """Say all that what a network finds depends on, but for code, as that of drawing.

    Args:
        name: a key of `ALL`.
        seed: of weights and batches.
        rates: learning rates, of which the best is taken.
        options: of the command.
        collections: what is searched.
    """
    data = options.data_root
    return [
        about_data(options),
        f"seed: {seed}, rates: {', '.join(rates)}",
        *settings(load_config(config_of(name)), options),
        # Drawn on another processor, features differ in the last digit.
        f"recordings: {content_hash(data / 'tracks.csv') if data else ''}",
        *(f"{one.describe()}, {one.digest}" for one in collections),
    ]


def train_and_search(
    name: str,
    seed: int,
    rates: Sequence[str],
    options: argparse.Namespace,
    collections: Sequence[Collection],
) -> Finished:
    """Train a network as `train` does and search all collections."""
    training = train(name, seed, rates, options)
    run = training.run
    return Finished(
        what="",
        trained="",
        rates=training.rates,
        course=run.validation,
        minutes=training.seconds / 60,
        queries={
            one.name: Finished.queries_of(one.search(run.similarity(one)))
            for one in collections
        },
    )


def of_all_seeds(
    name: str,
    options: argparse.Namespace,
    collections: Sequence[Collection],
    folder: Path,
) -> list[Finished]:
    """Return what a network found with each seed; the first one's rate is that of all.

    Args:
        name: a key of `ALL`.
        options: of the command.
        collections: what is searched.
        folder: where it is kept.
    """
    found: list[Finished] = []
    rates = rates_of(name, options)
    for seed in range(options.seeds):
        if found:
            rates = [best_rate(found[0].rates, rates)]
        found.append(
            finished(
                folder / f"{name}-{seed}.json",
                about_training(name, seed, rates, options, collections),
                lambda seed=seed, rates=rates: train_and_search(
                    name, seed, rates, options, collections
                ),
            )
        )
    return found


def plot(networks: dict[str, list[Finished]], steps: int, path: Path) -> None:
    """Draw MAP on the validation works in the course of each training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    panel = figure.subplots()
    for number, (name, seeds) in enumerate(networks.items()):
        for seed, one in enumerate(seeds):
            after = steps * np.arange(1, len(one.course) + 1)
            label = "" if seed else ALL[name][0]
            panel.plot(after, one.course, f"C{number}.-", alpha=0.5**seed, label=label)
    panel.set(xlabel="steps", ylabel="MAP of validation works", ylim=(0, None))
    panel.legend(fontsize="small")
    figure.savefig(path, dpi=100)


def about_rates(
    networks: dict[str, list[Finished]], options: argparse.Namespace
) -> str:
    """Say which learning rate each network has, and what the others came to."""
    tried = {name: seeds[0].rates for name, seeds in networks.items() if seeds[0].rates}
    if not tried:
        (rate,) = options.rates
        apart = "" if rate == RATE else f", but for a learning rate of {rate}"
        return (
            "Settings are ByteCover's, which were chosen on validation works; the "
            f"others' were not tuned{apart}."
        )
    each = "; ".join(
        f"{ALL[name][0]} {describe_rates(rates)}" for name, rates in tried.items()
    )
    return (
        "Settings are ByteCover's, which were chosen on validation works, but for the "
        "learning rate: each other network has the one by which a tenth of the steps "
        f"lowered its loss most, tried with the first seed (loss: {each})."
    )


def about_times(networks: dict[str, list[Finished]]) -> str:
    """Say when, and on which machine, each network was trained."""
    labels: dict[str, list[str]] = {}
    for name, seeds in networks.items():
        for seed, one in enumerate(seeds):
            label = f"{ALL[name][0]}, seed {seed}" if len(seeds) > 1 else ALL[name][0]
            labels.setdefault(one.trained, []).append(label)
    return "\n".join(
        f"Trained {when} ({'; '.join(each)})" for when, each in labels.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", type=int, default=1, help="number of runs of each network"
    )
    add_arguments(parser, steps=6000)
    add_rates_argument(parser)
    options = parser.parse_args()
    collections = read_collections(options)
    frontend = frontend_of(options.data_root)
    folder = report_file("paper").with_name("comparison")
    networks = {name: of_all_seeds(name, options, collections, folder) for name in ALL}
    picture = report_file("paper").with_name("comparison.png")
    plot(networks, steps_per_epoch(options), picture)
    modules = (alignment, simple_join, qmax_module)
    sources = [Path(str(module.__file__)).read_text() for module in modules]
    rows = []
    for collection in collections:
        for name, (label, paper) in ALL.items():
            scores = [one.scores(collection) for one in networks[name]]
            found = row_of_seeds(scores, collection)
            encoder = Encoder(KerasNetwork(untrained(name, options), frontend))
            took = time_of_encoder(encoder, collection.features)
            rows.append([collection.name, label, paper, *found, f"{took:.1f}"])
            print(*rows[-1], flush=True)
        if collection.cqts is None:
            continue
        chromas = chroma_of(collection)
        digest = digest_of(chromas, sources)
        for label, (paper, compute, compare) in PAIRWISE.items():
            path = options.work_dir / label / f"{collection.recordings}-{digest}.npy"
            similarity = kept(path, lambda c=compute, x=chromas: c(x))
            found = row(collection.search(similarity), collection)
            took = time_of_pairs(compare, chromas)
            rows.append([collection.name, label, paper, *found, "", f"{took:.0f}"])
            print(*rows[-1], flush=True)
        rows.append(shipped(SHIPPED, collection, options))
        print(*rows[-1], flush=True)
    minutes = sum(one.minutes for seeds in networks.values() for one in seeds)
    pool = frontend.pool
    body = "\n\n".join(
        [
            about_data(options)
            + f"Seeds: {options.seeds}; their trainings took {minutes:.0f} minutes. "
            + about_rates(networks, options),
            *(
                [
                    "The other networks' kernels are as long in frames as published, "
                    f"but a frame lasts {pool / POOL:g} times as long here, so TPPNet "
                    "and Ki-CNN see a whole recording at once. Those of MOVE are as "
                    "long in seconds as published, or one frame."
                ]
                if pool > POOL
                else []
            ),
            about_collections(collections),
            table(
                ["", "system", "paper: Da-TACOS / SHS100K-TEST", "MAP [95%]", "P@10",
                 "MR1", "MAP by seed", "ms a query"],
                rows,
            ),
            "MAP of the validation works in the course of the trainings:",
            f"![course of the trainings]({picture.name})",
            about_times(networks),
            "Milliseconds are those of one query against all recordings, the "
            "references known beforehand: of networks, embedding the query's features "
            "on all cores and comparing embeddings; Qmax and SiMPle compare chroma in "
            "one thread. Qmax agrees with essentia's (section \"Alignment of "
            f'chroma"). {SHIPPED} was trained for longer and on more works, so a '
            "comparison with the others would not be fair. The section "
            f'"Re-ranking what {SHIPPED} finds" measures it with its nearest '
            "candidates aligned.",
        ]
    )  # fmt: skip
    write_section(
        "paper",
        "Systems compared (the paper's table 1)",
        command_of("paper.comparison", parser, options, ["work_dir"]),
        body,
    )


if __name__ == "__main__":
    main()
