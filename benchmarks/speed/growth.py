"""How do time and memory grow with the number of recordings?

    python -m benchmarks.speed.growth [--sizes 10,100,1000,10000]
        [--recordings 10,32,100]

Extracts features of rendered music, and trains, evaluates, indexes and asks with
made-up features and embeddings, where audio adds nothing; each in a process of its own.
The exponent is that of the power of the number that fits best between the two largest
sizes, as what a process does once hides the growth of small ones.
"""

from __future__ import annotations

import argparse
import tempfile
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.processes import measured, seconds_of
from benchmarks.common.report import command_of, report_file, table, write_section

DIM = 256
SECONDS = 60
QUERIES = 20
_MIB = 2**20


# -- what grows: each prepares N recordings in a folder and returns seconds ---------


def extraction(count: int, folder: Path) -> float:
    """Extract the features of N files of a minute."""
    from bytecover_tf.audio.frontend import Frontend
    from bytecover_tf.stores.extraction import extract_features

    files = write_music(count, folder)
    return seconds_of(extract_features, files, folder / "store", Frontend())


def epoch(count: int, folder: Path) -> float:
    """Train a tiny network on as many crops as there are recordings."""
    import keras

    from bytecover_tf.audio.frontend import Frontend
    from bytecover_tf.data.track import Track
    from bytecover_tf.models.architecture import Architecture
    from bytecover_tf.models.bytecover import ByteCover
    from bytecover_tf.models.learner import Learner
    from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter
    from bytecover_tf.training.augment import Augment
    from bytecover_tf.training.batches import CropBatches, StoreReader, tf_dataset
    from bytecover_tf.training.sampler import PKSampler

    works = np.arange(count) // 4
    sampler = PKSampler(works, min(8, count // 4))
    features = np.random.default_rng(0).random((84, 103))
    with FeatureStoreWriter(folder / "store", Frontend()) as writer:
        for number in range(count):
            writer.add(f"/{number}", str(number), features)
    tracks = [Track(str(n), str(n // 4), f"/{n}") for n in range(count)]
    reader = StoreReader(FeatureStore(folder / "store"), tracks)
    batches = CropBatches(reader, works, sampler, (40,), Augment(), 84)
    network = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model = Learner(network, num_works=int(works[-1]) + 1)
    model.compile(keras.optimizers.Adam(), jit_compile=False)
    model.fit(tf_dataset(batches, 0, 1), verbose=0)  # builds the graph
    steps = max(1, count // sampler.batch_size)
    dataset = tf_dataset(batches, 0, steps)
    return seconds_of(lambda: model.fit(dataset, verbose=0))


def evaluation(count: int, folder: Path) -> float:
    """Search each of N embeddings among the others and score that."""
    from bytecover_tf.metrics import evaluate_embeddings

    embeddings = made_up(count, folder)
    works = [number // 4 for number in range(count)]
    ids = range(count)
    return seconds_of(
        evaluate_embeddings, embeddings, embeddings, works, works, ids, ids
    )


def indexing(count: int, folder: Path) -> float:
    """Put N recordings into a new catalogue, embeddings, chroma and tags."""
    from benchmarks.systems.search_systems import InExactCatalogue

    catalogue = InExactCatalogue(str(folder / "catalogue"), DIM)
    return seconds_of(catalogue.build, iter([made_up(count, folder)]))


def query(count: int, folder: Path) -> float:
    """Ask a catalogue of N recordings, one query after another; seconds of one."""
    from benchmarks.systems.search_systems import InExactCatalogue

    embeddings = made_up(count, folder)
    catalogue = InExactCatalogue(str(folder / "catalogue"), DIM)
    catalogue.build(iter([embeddings]))
    catalogue.open()
    catalogue.search(embeddings[:1])
    asked = embeddings[np.arange(QUERIES) % count]
    spent = [seconds_of(catalogue.search, one[None]) for one in asked]
    return float(np.median(spent))


def made_up(count: int, folder: Path) -> np.ndarray:
    from benchmarks.common.vectors import read_vectors, write_vectors

    write_vectors(folder / "vectors", count, DIM, 1, seed=0)
    return np.concatenate(list(read_vectors(folder / "vectors", DIM)))


def write_music(count: int, folder: Path) -> list[Path]:
    """Write a minute each of the rendered tunes, from another place on in each file."""
    from bytecover_tf.audio.decoding import load_audio
    from bytecover_tf.data import tunes

    rate = 22050
    music = np.concatenate([load_audio(path) for path in tunes.audio_files()])
    samples = (32767 * np.clip(music, -1, 1)).astype("<i2")
    starts = np.linspace(0, len(samples), count, endpoint=False, dtype=int).tolist()
    paths = []
    for number, start in enumerate(starts):
        paths.append(folder / f"{number}.wav")
        with wave.open(str(paths[-1]), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            cut = np.take(samples, range(start, start + SECONDS * rate), mode="wrap")
            file.writeframes(cut.tobytes())
    return paths


@dataclass(frozen=True)
class Task:
    """Something that grows.

    Attributes:
        run: prepares N recordings in a folder and returns the seconds.
        why: what explains the growth.
    """

    run: Callable[[int, Path], float]
    why: str


TASKS = {
    "extraction": Task(extraction, "each file is read once; starting processes is not"),
    "training epoch": Task(
        epoch, "as many crops as recordings; the classifier has a row for each work"
    ),
    "evaluation": Task(
        evaluation, "each query is compared with each reference: the protocol's square"
    ),
    "indexing": Task(indexing, "each recording is written once"),
    "query": Task(query, "an exact search reads every embedding"),
}


@dataclass(frozen=True)
class Curve:
    """Seconds and peak memory by number of recordings."""

    sizes: list[int]
    seconds: list[float]
    peaks: list[int]

    @property
    def exponents(self) -> tuple[float, float]:
        """Of time and of memory, between the two largest sizes."""
        return exponent(self.sizes, self.seconds), exponent(self.sizes, self.peaks)


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return b of the values' growth like a * size**b between the last two sizes."""
    if len(sizes) < 2:
        return float("nan")
    growth, more = values[-1] / values[-2], sizes[-1] / sizes[-2]
    return float(np.log(growth) / np.log(more))


def measure(task: Task, sizes: list[int]) -> Curve:
    seconds, peaks = [], []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            run = measured(task.run, size, Path(folder))
        seconds.append(run.result)
        peaks.append(run.peak)
    return Curve(sizes, seconds, peaks)


def plot(curves: dict[str, Curve], path: Path) -> None:
    """Draw time and memory against the number of recordings."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    time, memory = figure.subplots(1, 2)
    for name, curve in curves.items():
        by_time, by_memory = curve.exponents
        time.loglog(curve.sizes, curve.seconds, "o-", label=f"{name}, {by_time:.2f}")
        mib = [peak / _MIB for peak in curve.peaks]
        memory.loglog(curve.sizes, mib, "o-", label=f"{name}, {by_memory:.2f}")
    time.set(title="time", ylabel="seconds")
    memory.set(title="peak memory", ylabel="MiB")
    for panel in (time, memory):
        panel.set_xlabel("recordings")
        panel.legend(
            title="and exponent",
            fontsize="small",
            ncols=2,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.15),
        )
    figure.savefig(path, dpi=100)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sizes", default="10,100,1000,10000", help="numbers of recordings"
    )
    parser.add_argument(
        "--recordings", default="10,32,100", help="numbers of recordings to extract"
    )
    options = parser.parse_args(arguments)
    sizes = [int(size) for size in options.sizes.split(",")]
    files = [int(size) for size in options.recordings.split(",")]
    curves = {}
    for name, task in TASKS.items():
        curves[name] = measure(task, files if name == "extraction" else sizes)
        print(name, curves[name], flush=True)
    picture = report_file("search").with_name("growth.png")
    plot(curves, picture)
    rows = []
    for name, curve in curves.items():
        time, memory = curve.exponents
        cells = [f"{value:.3g}" for value in curve.seconds]
        rows.append(
            [
                name,
                ", ".join(f"{size:,}" for size in curve.sizes),
                ", ".join(cells),
                ", ".join(f"{peak / _MIB:,.0f}" for peak in curve.peaks),
                f"{time:.2f}",
                f"{memory:.2f}",
                TASKS[name].why,
            ]
        )
    header = [
        *("", "recordings", "seconds", "peak MiB"),
        *("exponent of time", "of memory", "why"),
    ]
    body = (
        f"Extraction reads files of {SECONDS} s; a training epoch is the input "
        "pipeline with a tiny network and takes a crop for each recording; embeddings "
        f"have {DIM} values. Exponents are those between the two largest numbers. "
        "Memory is that of the process, and for extraction of its workers too, with "
        "all libraries.\n\n"
        f"![growth]({picture.name})\n\n" + table(header, rows)
    )
    command = command_of("speed.growth", parser, options)
    write_section("search", "Growth", command, body)


if __name__ == "__main__":
    main()
