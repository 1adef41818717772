"""What the rebuilt tables of the paper share: data, trainings, searches, words.

All networks of all tables are trained alike: the same data, number of steps, batches,
changes to crops and schedule, each network at the same share of its published width.
Where there is a classifier, the triplet loss joins it for the last third: from the
start it keeps so few steps from learning anything. The last epoch is what is searched,
so none is chosen. A training that has finished, and what it embeds, is kept in its run
directory and not repeated.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from benchmarks.accuracy.pretrained import EQUAL_SECONDS, equally_long
from benchmarks.common.labelled import POOL, Labelled, read_anthems, read_tunes
from benchmarks.common.report import cells
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.configs import load_config
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.errors import DivergedError
from bytecover_tf.files import JsonObject, replacing
from bytecover_tf.metrics import QueryScores, bootstrap_interval, score_queries
from bytecover_tf.models.move import KERNEL_FRAMES
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.training.config import Config, override
from bytecover_tf.training.run import TrainingRun

# After the config `tunes`, where they were chosen on validation works, but for the rate
# (`benchmarks/experiments.md`).
RATE = "1e-3"
RECIPE = [
    "input_power=0.5",
    "label_smoothing=0.1",
    "works_per_batch=8",
    "versions_per_work=4",
    "augment.stretch=0.8",
    "augment.transpose=1.0",
    "augment.tilt=0.9",
    "augment.tilt_knots=8",
    "augment.tilt_decibels=15.0",
    "augment.mask_bins=0.2",
    "augment.noise=0.3",
    f"learning_rate={RATE}",
    "warmup_steps=100",
    "decay=cosine",
]
# About so many, so that a training that is killed loses little.
STEPS_PER_EPOCH = 1000
PITCH_CLASSES = "pitch_classes=True"
ON_PITCH_CLASSES = (
    "All read pitch classes in place of the paper's 84 bins, on which they learn "
    "hardly anything in so few steps (`benchmarks/experiments.md`)."
)
# 46 and 70 s.
CROP_FRAMES_AT_100 = (20, 30)
# Six bottlenecks instead of sixteen.
BLOCKS = "blocks=(1, 2, 2, 1)"


@dataclass(frozen=True)
class Collection:
    """Recordings of which each is searched among the others.

    Attributes:
        name: what a table calls it.
        recordings: what files that are kept call its recordings; `digest` follows.
        works: labels of the N recordings.
        features: (n_bins, T) of each, as the networks read them.
        excluded: (N, N), pairs that do not count: a recording with itself at least.
        cqts: |CQT| (84, T) over 20 frames of each, or None if there are none.
    """

    name: str
    recordings: str
    works: list[str]
    features: list[np.ndarray]
    excluded: np.ndarray
    cqts: list[np.ndarray] | None = None

    @cached_property
    def digest(self) -> str:
        """Digits that change with what is searched."""
        return digest_of([*self.features, *(self.cqts or [])], self.works)

    def search(self, similarity: np.ndarray) -> QueryScores:
        """Score the search by an (N, N) similarity."""
        return score_queries(
            lambda rows: (similarity[rows], self.excluded[rows]), self.works, self.works
        )

    def describe(self) -> str:
        """Return the name with the numbers of queries and of recordings."""
        nothing = np.zeros((len(self.works), len(self.works)), np.float32)
        queries = self.search(nothing).query
        works = len({self.works[query] for query in queries})
        return (
            f"{self.name}, {len(queries)} queries of {works} works among "
            f"{len(self.works)} recordings"
        )


def digest_of(arrays: Sequence[np.ndarray], texts: Sequence[str] = ()) -> str:
    """Return digits that change with arrays and texts."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype} ".encode())
        digest.update(np.ascontiguousarray(array))
    digest.update("\n".join(texts).encode())
    return digest.hexdigest()[:12]


def add_arguments(parser: argparse.ArgumentParser, steps: int) -> None:
    """Add what all tables can be told."""
    parser.add_argument(
        "--steps", type=int, default=steps, help="steps of each training"
    )
    parser.add_argument(
        "--width", type=int, default=16, help="width of the stem; 64 in full"
    )
    parser.add_argument(
        "--full-depth",
        action="store_true",
        help="ByteCover with the paper's 16 bottlenecks; without it, 6",
    )
    parser.add_argument(
        "--data-root",
        type=Path,
        help="train on another set of the layout of `tunes`, as "
        "`bytecover_tf.synth.draw` makes; what is searched stays the same",
    )
    parser.add_argument("--anthems", type=Path, help="folder of the national anthems")
    parser.add_argument("--work-dir", type=Path, default=Path("runs/tables"))


def add_rates_argument(parser: argparse.ArgumentParser) -> None:
    """Add the learning rates that networks may have."""
    parser.add_argument(
        "--rates",
        nargs="+",
        default=[RATE],
        help="learning rates; of several, each network but ByteCover takes its best",
    )


def read_collections(options: argparse.Namespace) -> list[Collection]:
    """Return unseen works, the human variants among them, and real recordings.

    Versions of an anthem are about equally long, which a network's output shows even
    before training; so there are the anthems at one length as well, for networks.

    Unseen works are the embedded set's test works, whatever the networks were trained
    on. Human variants are the same recordings, but of a work that several scores have
    been written of, only those by another score count.
    """
    frontend = frontend_of(options.data_root)
    items = read_tunes()
    unseen = _of_labelled("unseen works", "tunes-test", items, frontend)
    names = [item.name for item in items]
    variants = same_score(names, unseen.works, tunes.FOLDER / "sources.csv")
    found = [
        unseen,
        replace(unseen, name="human variants", excluded=variants),
    ]
    if options.anthems:
        items = read_anthems(options.anthems, "test")
        found.append(_of_labelled("anthems, test", "anthems-test", items, frontend))
        equal = [replace(item, cqt=equally_long(item.cqt)) for item in items]
        equal_set = _of_labelled("anthems, equal", "anthems-equal", equal, frontend)
        found.append(replace(equal_set, cqts=None))
    return found


def frontend_of(data_root: Path | None) -> Frontend:
    """Return the parameters of a data set's features; the paper's without a folder."""
    return FeatureStore(data_root / "store").frontend if data_root else Frontend()


def _of_labelled(
    name: str, recordings: str, items: Sequence[Labelled], frontend: Frontend
) -> Collection:
    return Collection(
        name,
        recordings,
        [item.work for item in items],
        [frontend.from_cqt(item.cqt, POOL, item.name) for item in items],
        np.eye(len(items), dtype=bool),
        [item.cqt for item in items],
    )


def same_score(names: Sequence[str], works: Sequence[str], sources: Path) -> np.ndarray:
    """Return which pairs of recordings were made from one score: bool (N, N).

    Args:
        names: `<work>-<version>`; a work's scores take turns over its versions.
        works: of the recordings.
        sources: table with a row for each score of each work.
    """
    with open(sources, newline="", encoding="utf-8") as file:
        count = Counter(row["work"] for row in csv.DictReader(file))
    score = [
        (work, int(name.rsplit("-", 1)[1]) % count[work])
        for name, work in zip(names, works, strict=True)
    ]
    return np.array([[one == other for other in score] for one in score])


def settings(config: Config, options: argparse.Namespace) -> list[str]:
    """Return the changes to a config that make it part of a table."""
    pool = frontend_of(options.data_root).pool
    crops = tuple(frames * 100 // pool for frames in CROP_FRAMES_AT_100)
    # Of ByteCover's published width, 64, as of any other network's.
    width = max(round(config.width * options.width / Config().width), 1)
    triplet_from = epochs(options) * 2 // 3 if config.classification else 0
    # As long in seconds as published.
    kernel = round(KERNEL_FRAMES * load_config("move").frontend.pool / pool)
    return [
        *RECIPE,
        *([] if options.full_depth else [BLOCKS]),
        f"width={width}",
        f"frontend.pool={pool}",
        f"crop_frames={crops}",
        *([f"kernel_frames={kernel}"] if config.network == "move" else []),
        f"epochs={epochs(options)}",
        f"steps_per_epoch={steps_per_epoch(options)}",
        f"triplet_from_epoch={triplet_from}",
    ]


def epochs(options: argparse.Namespace) -> int:
    """Return the number of equal epochs, which three divides."""
    return 3 * max(round(options.steps / STEPS_PER_EPOCH / 3), 1)


def steps_per_epoch(options: argparse.Namespace) -> int:
    """Return the steps of each epoch."""
    return max(options.steps // epochs(options), 1)


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: its run directory.
        figures: what `metrics.json` holds.
    """

    folder: Path
    figures: JsonObject

    @property
    def validation(self) -> list[float]:
        """MAP on the validation works after each epoch."""
        return self._course("validation_map")

    @property
    def loss(self) -> list[float]:
        """Mean loss of each epoch."""
        return self._course("loss")

    def _course(self, name: str) -> list[float]:
        with open(self.folder / "log.csv", newline="", encoding="utf-8") as file:
            return [float(row[name]) for row in csv.DictReader(file)]

    def encoder(self) -> Encoder:
        """Return the encoder after the last epoch."""
        return load_encoder(self.folder / "checkpoint.keras")

    def similarity(self, collection: Collection) -> np.ndarray:
        """Return the cosines of all pairs; embeddings are kept for the next time."""
        embeddings = kept(
            self.folder
            / "embeddings"
            / f"{collection.recordings}-{collection.digest}.npy",
            lambda: embedded(self.encoder(), collection.features),
        )
        return embeddings @ embeddings.T


def trained(
    name: str,
    config_name: str,
    options: argparse.Namespace,
    seed: int = 0,
    changes: Sequence[str] = (),
    teacher: Run | None = None,
) -> Run:
    """Train a network, or take what an earlier call left.

    Args:
        name: of the run's folder.
        config_name: of the config that is changed by `settings`.
        options: of the command.
        seed: of weights and batches.
        changes: further settings.
        teacher: what the network learns from.

    Raises:
        ConfigError: the folder holds a run of other settings or data.
    """
    folder = options.work_dir / f"{name}-{seed}"
    config = load_config(config_name)
    run = TrainingRun(
        override(config, [*settings(config, options), *changes]),
        config_name,
        data_root=options.data_root,
        seed=seed,
        teacher=teacher and teacher.folder,
    )
    if not (folder / "metrics.json").exists():
        print(f"\n=== {folder.name}", flush=True)
    figures = run.finish(folder)
    keras.backend.clear_session()
    return Run(folder, figures)


@dataclass(frozen=True)
class Trainings:
    """The trainings of one network.

    Attributes:
        rates: the loss at the end of a tenth of the steps, by the learning rate that
            was tried; empty if there was no choice. Those at which it was no number
            are left out.
        run: the training at the best rate.
        seconds: time of all trainings, with those of the rates in `rates`.
    """

    rates: dict[str, float]
    run: Run
    seconds: float


def at_best_rate(
    train: Callable[..., Run],
    name: str,
    config_name: str,
    options: argparse.Namespace,
    changes: Sequence[str] = (),
    seed: int = 0,
) -> Trainings:
    """Train at the rate by which a tenth of the steps lowers the loss most.

    After so few steps a network may find no more than it did before the first, while
    its loss already falls.

    Args:
        train: as `trained` or `on_pitch_classes`.
        name: of the runs' folders; a rate follows it where rates are tried, and where
            the best is not that of all other tables.
        config_name: of the config that is trained, by a loss that no other joins.
        options: of the command, with its `rates`.
        changes: further settings.
        seed: of weights and batches.
    """
    brief = argparse.Namespace(**vars(options))
    brief.steps = max(options.steps // 10, 1)
    tried = {}
    for rate in options.rates if len(options.rates) > 1 else ():
        setting = [*changes, f"learning_rate={rate}"]
        try:
            tried[rate] = train(f"{name}-{rate}", config_name, brief, seed, setting)
        except DivergedError:
            print(f"{name} at {rate}: the loss is no longer a number", flush=True)
            if not tried and rate == options.rates[-1]:
                raise
    found = {rate: run.loss[-1] for rate, run in tried.items()}
    best = best_rate(found, options.rates)
    setting = [*changes, f"learning_rate={best}"]
    name = name if best == RATE else f"{name}-at-{best}"
    run = train(name, config_name, options, seed, setting)
    seconds = sum(one.figures["seconds"] for one in (*tried.values(), run))
    return Trainings(found, run, seconds)


def best_rate(tried: dict[str, float], rates: Sequence[str]) -> str:
    """Return the learning rate of the least loss, or the only one."""
    return min(tried, key=lambda rate: tried[rate]) if tried else rates[0]


def describe_rates(rates: dict[str, float]) -> str:
    """Say to which loss each learning rate came."""
    return ", ".join(f"{loss:.3f} at {rate}" for rate, loss in rates.items())


def on_pitch_classes(
    name: str,
    config_name: str,
    options: argparse.Namespace,
    seed: int = 0,
    changes: Sequence[str] = (),
) -> Run:
    """Train a network as `trained` does, but on pitch classes instead of 84 bins."""
    changes = [PITCH_CLASSES, *changes]
    return trained(f"{name}-pitch-classes", config_name, options, seed, changes)


def embedded(encoder: Encoder, features: Sequence[np.ndarray]) -> np.ndarray:
    """Return the embeddings of all recordings, (N, dim)."""
    embeddings = encoder.embed_features(features)
    assert not encoder.errors, encoder.errors
    return embeddings


def kept(path: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return an array from its file, or compute it and write the file."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            np.save(beside, compute())
    return np.load(path)


def mean_scores(runs: Sequence[QueryScores]) -> QueryScores:
    """Return each query's scores in the mean over several searches."""
    names = {item.name for item in fields(QueryScores)} - {"query"}
    means = {
        name: np.mean([getattr(run, name) for run in runs], axis=0) for name in names
    }
    return replace(runs[0], **means)


def figures(scores: QueryScores, collection: Collection) -> JsonObject:
    """Return MAP with its interval, P@10 and MR1."""
    interval = bootstrap_interval(scores, collection.works)
    return {**scores.summary(), "map_interval": interval}


def row(scores: QueryScores, collection: Collection) -> list[str]:
    """Return MAP with its interval, P@10 and MR1, as a table's cells."""
    return cells(figures(scores, collection))


def row_of_seeds(seeds: Sequence[QueryScores], collection: Collection) -> list[str]:
    """Return the row of the mean over seeds, and the MAP of each seed in a cell."""
    each = ", ".join(f"{seed.summary()['map']:.3f}" for seed in seeds)
    return [*row(mean_scores(seeds), collection), each]


@dataclass(frozen=True)
class Difference:
    """By how much MAP differs between two systems asked the same queries.

    Attributes:
        mean: of the second less the first.
        low: lower bound of the paired 95% interval over works.
        high: upper bound.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def between(
        cls, before: QueryScores, after: QueryScores, works: Sequence[str]
    ) -> Difference:
        """Compare two searches query by query."""
        gained = after.average_precision - before.average_precision
        low, high = bootstrap_interval(replace(after, average_precision=gained), works)
        return cls(float(gained.mean()), low, high)

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def verdict(steps: Sequence[tuple[str, Difference]]) -> str:
    """Say whether steps that the paper has upwards go upwards here."""
    up = [name for name, step in steps if step.mean > 0]
    clearly_up = [name for name, step in steps if step.mean > 0 and step.is_clear]
    clearly_down = [name for name, step in steps if step.mean < 0 and step.is_clear]
    if len(clearly_up) == len(steps):
        order = "The paper's order holds, every step beyond chance"
    elif len(up) == len(steps):
        order = "The paper's order holds, though not every step is beyond chance"
    else:
        order = "The paper's order does not hold"
    return (
        f"{order}: of {len(steps)} steps {len(up)} go up ({_listed(up)}), "
        f"{len(clearly_up)} of them with an interval above zero "
        f"({_listed(clearly_up)}); {len(clearly_down)} go down with an interval below "
        f"zero ({_listed(clearly_down)})."
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def about_data(options: argparse.Namespace) -> str:
    """Say what all networks were trained on and how."""
    tracks = [
        track for track in tunes.load(options.data_root) if track.split == "train"
    ]
    works = len({track.work for track in tracks})
    frontend = frontend_of(options.data_root)
    seconds = frontend.pool * frontend.hop_length / frontend.sample_rate
    source = "a drawn set" if options.data_root else "the embedded set"
    steps = epochs(options) * steps_per_epoch(options)
    depth = "16, as in the paper" if options.full_depth else "6 instead of 16"
    return (
        f"Every network was trained on {len(tracks)} recordings of {works} works of "
        f"{source}, frames of {seconds:.2f} s, for {steps} steps of 32 crops, "
        f"at {options.width}/64 of its published width (ByteCover's bottlenecks: "
        f"{depth}); no epoch and no setting was chosen on what is searched here. "
    )


def about_collections(collections: Sequence[Collection]) -> str:
    """Say what is searched."""
    equal = any(collection.recordings == "anthems-equal" for collection in collections)
    return (
        "Each recording is searched among the others: "
        + "; ".join(collection.describe() for collection in collections)
        + ". For human variants only versions by another score of the work count. "
        + (
            "Versions of an anthem tend to be equally long, so each is also repeated "
            f"or cut to {EQUAL_SECONDS:.0f} s, which leaves only what is heard. "
            if equal
            else ""
        )
        + "Intervals are those of the mean over works (95%, bootstrap)."
    )
