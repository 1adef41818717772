"""How long from a folder of recordings to embeddings, beside the script a user writes?

    python -m benchmarks.speed.end_to_end --source DIR --folder WORK [--tracks N]

DIR holds recordings of any kind. They are cut or repeated to tracks of three to five
minutes, mp3 and flac in turns at 44.1 kHz in stereo, in WORK, by the ffmpeg command;
tracks that are there already are not made again.

The script of a user decodes with librosa.load, transforms with librosa.cqt and embeds
with ResNet50-IBN in PyTorch, one file after another or in a process pool. It is
compared with `Encoder.embed_audio` and with `bytecover index`, by the encoders that
come with the package and by the same ResNet50-IBN, which is not trained, as ONNX.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.heard import heard
from benchmarks.common.processes import Stopwatch, measured
from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.encoders.pretrained import DEFAULT, FINDS_MOST

SHORTEST, LONGEST = 180, 300
FORMAT = ("-ar", "44100", "-ac", "2", "-b:a", "192k")
SEED = 0

Paths = list[Path]


# -- material ----------------------------------------------------------------------


def make_tracks(source: Path, folder: Path, count: int) -> Paths:
    """Return `count` tracks of 3 to 5 minutes in a folder, made where they lack."""
    found = [*heard(source)]
    folder.mkdir(parents=True, exist_ok=True)
    tracks = []
    for number in range(count):
        # Spread evenly over the lengths, however many there are.
        seconds = SHORTEST + (LONGEST - SHORTEST) * (number * 0.618 % 1)
        suffix = ("mp3", "flac")[number % 2]
        recording = found[number % len(found)]
        tracks.append(folder / f"{number:03}.{suffix}")
        make_track(recording, tracks[-1], seconds, *FORMAT)
    return tracks


def make_track(source: Path, path: Path, seconds: float, *options: str) -> None:
    """Cut or repeat a recording to some seconds by ffmpeg, unless it is there."""
    if path.exists():
        return
    unfinished = path.with_stem(f"unfinished-{path.stem}")
    command = [
        *("ffmpeg", "-v", "error", "-y", "-stream_loop", "-1", "-i", str(source)),
        *("-t", f"{seconds:.3f}", "-vn", "-map_metadata", "-1"),
        *(*options, str(unfinished)),
    ]
    subprocess.run(command, check=True)
    unfinished.rename(path)


def write_networks(folder: Path) -> None:
    """Write one untrained ResNet50-IBN as `encoder.onnx` and as `network.pt`."""
    import keras
    import torch

    from benchmarks.common.library import write_encoder
    from benchmarks.common.torch_model import TorchByteCover
    from bytecover_tf.models.bytecover import ByteCover

    keras.utils.set_random_seed(SEED)
    write_encoder(folder / "encoder.onnx")
    keras.utils.set_random_seed(SEED)
    model = ByteCover()
    model.build((None, 84, None, 1))
    torch.save(TorchByteCover(model), folder / "network.pt")


# -- ways: each returns the seconds and, in the order of the paths, the embeddings ----


class Script:
    """What a user writes: librosa and PyTorch."""

    def __init__(self, network: Path, threads: int | None = None) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self._network = torch.load(network, weights_only=False)
        self._network.to(memory_format=torch.channels_last)

    def embed(self, path: Path) -> np.ndarray:
        """Return the embedding of a file."""
        import librosa
        import torch

        samples, rate = librosa.load(path, sr=22050)
        cqt = np.abs(librosa.cqt(samples, sr=rate, hop_length=512, n_bins=84))
        frames = cqt.shape[1] // 100
        features = cqt[:, : frames * 100].reshape(84, frames, 100).mean(axis=2)
        features = (features / features.max()).astype(np.float32)
        with torch.inference_mode():
            return self._network(torch.from_numpy(features[None]))[0].numpy()


def one_by_one(paths: Paths, folder: Path) -> tuple[Stopwatch, np.ndarray]:
    script = Script(folder / "network.pt")
    script.embed(paths[0])  # librosa imports and compiles at the first call
    with Stopwatch() as watch:
        embeddings = np.stack([script.embed(path) for path in paths])
    return watch, embeddings


def _begin(network: Path) -> None:
    global _script
    _script = Script(network, threads=1)


def _embed(path: Path) -> np.ndarray:
    return _script.embed(path)


def process_pool(paths: Paths, folder: Path) -> tuple[Stopwatch, np.ndarray]:
    """Start included, as `bytecover index` starts its processes too."""
    context = multiprocessing.get_context("spawn")
    with Stopwatch() as watch:
        pool = context.Pool(os.cpu_count(), _begin, (folder / "network.pt",))
        embeddings = np.stack(pool.map(_embed, paths, chunksize=1))
        pool.close()
        pool.join()
    return watch, embeddings


def embed_audio(encoder: str) -> Callable[[Paths, Path], tuple[Stopwatch, np.ndarray]]:
    return _Ours(encoder).embed_audio


def index(encoder: str) -> Callable[[Paths, Path], tuple[Stopwatch, None]]:
    return _Ours(encoder).index


class _Ours:
    """This package, with an encoder's name or its file in the working folder."""

    def __init__(self, encoder: str) -> None:
        self._encoder = encoder

    def _path(self, folder: Path) -> str:
        inside = folder / self._encoder
        return str(inside) if inside.exists() else self._encoder

    def embed_audio(self, paths: Paths, folder: Path) -> tuple[Stopwatch, np.ndarray]:
        from bytecover_tf.encoders.encoder import load_encoder

        encoder = load_encoder(self._path(folder))
        encoder.embed_audio(paths[:1])
        with Stopwatch() as watch:
            embeddings = encoder.embed_audio(paths)
        assert not encoder.errors, encoder.errors
        return watch, embeddings

    def index(self, paths: Paths, folder: Path) -> tuple[Stopwatch, None]:
        with tempfile.TemporaryDirectory() as made:
            with Stopwatch() as watch:
                # Imports count, as they do in the command.
                from benchmarks.common.library import fill_catalogue

                fill_catalogue(made + "/catalogue", paths, self._path(folder))
            return watch, None


FULL = "encoder.onnx"
ONE, POOL = "librosa and PyTorch, one by one", "librosa and PyTorch, process pool"
EMBED_FULL = "embed_audio, ResNet50-IBN"
INDEX_FULL = "bytecover index, ResNet50-IBN"
OURS = (DEFAULT, FINDS_MOST)
WAYS: dict[str, Callable[[Paths, Path], tuple[Stopwatch, Any]]] = {
    ONE: one_by_one,
    POOL: process_pool,
    EMBED_FULL: embed_audio(FULL),
    INDEX_FULL: index(FULL),
}
for _name in OURS:
    WAYS[f"embed_audio, {_name}"] = embed_audio(_name)
    WAYS[f"bytecover index, {_name}"] = index(_name)


def profile(paths: Paths, folder: Path) -> dict[str, float]:
    """Return the processor seconds of each stage of ours, for a track."""
    from bytecover_tf.audio.decoding import load_audio
    from bytecover_tf.encoders.encoder import load_encoder
    from bytecover_tf.files import content_hash

    encoder = load_encoder(folder / FULL, threads=1)
    frontend = encoder.frontend
    spent: dict[str, list[float]] = {}

    def add(stage: str, function: Callable[..., Any], *arguments: Any) -> None:
        with Stopwatch() as watch:
            function(*arguments)
        spent.setdefault(stage, []).append(watch.processor)

    encoder.embed_audio(paths[:1])
    for path in paths:
        add("hashing, for index", content_hash, path)
        add("decoding", load_audio, path, 44100)
        add("decoding and resampling", load_audio, path)
        samples = load_audio(path)
        add("transform and pooling", frontend.features, samples)
        features = frontend.features(samples)
        add("network, ResNet50-IBN", encoder.embed_features, [features])
    means = {stage: float(np.mean(seconds)) for stage, seconds in spent.items()}
    means["resampling"] = means.pop("decoding and resampling") - means["decoding"]
    return means


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--source", type=Path, required=True, metavar="DIR", help="folder of recordings"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        required=True,
        metavar="WORK",
        help="folder for the tracks",
    )
    parser.add_argument("--tracks", type=int, default=100, help="number of tracks")
    parser.add_argument(
        "--rounds", type=int, default=3, help="measurements of each method"
    )
    options = parser.parse_args(arguments)
    tracks = make_tracks(options.source, options.folder, options.tracks)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        measured(write_networks, folder)
        runs: dict[str, list[Any]] = {name: [] for name in WAYS}
        for _ in range(options.rounds):
            for name, way in WAYS.items():
                runs[name].append(measured(way, tracks, folder))
                print(name, f"{runs[name][-1].result[0].seconds:.1f} s", flush=True)
        stages = measured(profile, tracks, folder).result
    spent = {
        name: np.median(
            [(run.result[0].seconds, run.result[0].processor) for run in of_way], axis=0
        )
        for name, of_way in runs.items()
    }
    expected = runs[ONE][0].result[1]
    cosine = (runs[EMBED_FULL][0].result[1] * expected).sum(axis=1)
    rows = [
        [
            name,
            f"{seconds:.1f}",
            f"{len(tracks) / seconds:.2f}",
            f"{spent[ONE][0] / seconds:.2f}",
            f"{spent[POOL][0] / seconds:.2f}",
            f"{processor:.1f}",
            f"{spent[POOL][1] / processor:.2f}",
        ]
        for name, (seconds, processor) in spent.items()
    ]
    total = sum(stages.values()) - stages["hashing, for index"]
    shares = [
        [stage, f"{1e3 * spent:.0f}", f"{spent / total:.0%}"]
        for stage, spent in sorted(stages.items(), key=lambda item: -item[1])
    ]
    decoding = (stages["decoding"] + stages["resampling"]) / total
    body = (
        f"{len(tracks)} tracks of 3 to 5 minutes, mp3 and flac, 44.1 kHz, stereo; "
        f"each way in a process of its own, in turns, medians of {options.rounds}. "
        "The time to start processes counts, and in the pool and in `bytecover index` "
        "so does that to load the networks. `bytecover index` also hears notes, makes "
        "chroma of them and writes a catalogue, which the others do not. "
        "The aims are 3 times the script one by one and 1.5 times its pool.\n\n"
        + table(
            [
                *("", "seconds", "tracks/s", "speed, one by one = 1", "pool = 1"),
                *("processor seconds", "per processor second, pool = 1"),
            ],
            rows,
        )
        + f"\n\nCosine of ours to the script's embeddings: {cosine.min():.5f} at the "
        f"least, {np.median(cosine):.6f} in the median; decoders and resamplers "
        "differ.\n\nOne thread, milliseconds of processor time for a track; "
        f"decoding and resampling take {decoding:.0%} (the aim is 70% or more):\n\n"
        + table(["", "ms", "share"], shares)
    )
    write_section(
        "audio",
        "Audio to embedding",
        command_of("speed.end_to_end", parser, options),
        body,
    )


if __name__ == "__main__":
    main()
