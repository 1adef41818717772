"""Does training on real recordings help on works that it has not seen?

    python -m benchmarks.accuracy.anthems --source DIR [--work-dir DIR]

DIR holds `cqt_mean20.npz`, one (84, T) array of |CQT| averaged over 20 frames for
each recording of a national anthem, and `recordings.csv` with recording, work and
split. Trains on the train split and compares on the validation split: the length of
the recording alone, the mean spectrum, the untrained network and the trained one. The
test split is not looked at.

Versions of an anthem tend to be about equally long, and a network's output depends on
the length of its input even before any training. So every search is also made with
all recordings repeated or cut to one length, which leaves only what is heard.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.configs import load_config
from bytecover_tf.data import load_dataset
from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Encoder, KerasNetwork, load_encoder
from bytecover_tf.evaluation.protocol import choose_split, search
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.training.config import override
from bytecover_tf.training.run import TrainingRun

SETTINGS = [
    "blocks=(3, 4, 6, 3)",
    "width=32",
    "crop_frames=(14, 20, 28)",
    "augment.transpose=0.5",
    "augment.tilt_decibels=12.0",
    "augment.mask_frames=0.3",
    "learning_rate=1e-3",
    "triplet_from_epoch=2",
    "steps_per_epoch=150",
    "epochs=20",
]
# An untrained network's figures depend much on its seed.
UNTRAINED_SEEDS = range(5)
# About a minute and a half.
EQUAL_FRAMES = 40

# Turns features (n_bins, T) of many recordings into vectors of unit norm.
Embed = Callable[[Sequence[np.ndarray]], np.ndarray]


def write_manifest(source: Path, work_dir: Path) -> Path:
    """Unpack train and validation recordings beside a manifest."""
    work_dir.mkdir(parents=True, exist_ok=True)
    arrays = np.load(source / "cqt_mean20.npz")
    manifest = work_dir / "manifest.csv"
    with (
        open(source / "recordings.csv", newline="") as listed,
        open(manifest, "w", newline="") as written,
    ):
        rows = csv.writer(written)
        rows.writerow(["id", "work", "path", "split"])
        for row in csv.DictReader(listed):
            name = f"{row['recording']}.npy"
            if row["split"] == "test":
                continue
            np.save(work_dir / name, arrays[row["recording"]])
            rows.writerow([row["recording"], row["work"], name, row["split"]])
    return manifest


def trained(
    run_dir: Path,
    manifest: Path,
    features: Path,
    config_name: str,
    settings: Sequence[str],
    init: str | None = None,
    seed: int = 0,
) -> dict:
    """Train, or continue what was begun; return the run's figures.

    Args:
        run_dir: of the run.
        manifest: what `write_manifest` wrote.
        features: folder of the store.
        config_name: name of the experiment.
        settings: changes to it.
        init: an encoder to start from.
        seed: of weights and batches.
    """
    run = TrainingRun(
        override(load_config(config_name), settings),
        config_name,
        "manifest",
        manifest,
        features,
        source_pool=20,
        init=None if init is None else Path(init),
        seed=seed,
    )
    return run.finish(run_dir)


def untrained(seed: int) -> Encoder:
    """Return a network with random weights."""
    keras.utils.set_random_seed(seed)
    config = override(load_config("tunes"), SETTINGS)
    model = ByteCover(config.architecture)
    model.build((None, 84, None, 1))
    return Encoder(KerasNetwork(model, Frontend()))


def mean_spectrum(recordings: Sequence[np.ndarray]) -> np.ndarray:
    """Embed by the mean of the features over time."""
    means = np.stack([features.mean(axis=1) for features in recordings])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def length_alone(recordings: Sequence[np.ndarray]) -> np.ndarray:
    """Embed as angles, so that the cosine falls with the ratio of two lengths."""
    lengths = np.array([features.shape[1] for features in recordings])
    angles = np.log(lengths) * np.pi / 2 / np.log(lengths.max() + 1)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def equally_long(features: np.ndarray) -> np.ndarray:
    """Repeat or cut (n_bins, T) to `EQUAL_FRAMES`."""
    return features[:, np.arange(EQUAL_FRAMES) % features.shape[1]]


def row(
    name: str, embed: Embed, tracks: Sequence[Track], store: FeatureStore
) -> list[str]:
    """Return a name and MAP, MR1 of whole recordings, then of equally long ones."""
    whole = [store.features(track.path) for track in tracks]
    cells = [name]
    for recordings in (whole, [equally_long(features) for features in whole]):
        found = search(tracks, embed(recordings)).metrics
        low, high = found["map_interval"]
        cells += [f"{found['map']:.3f} [{low:.3f}, {high:.3f}]", f"{found['mr1']:.1f}"]
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, default=Path("runs/anthems"))
    parser.add_argument("--seeds", type=int, default=1, help="number of runs")
    options = parser.parse_args()
    manifest = write_manifest(options.source, options.work_dir)
    features = options.work_dir / "features"
    runs = []
    for seed in range(options.seeds):
        run_dir = options.work_dir / f"run-{seed}"
        runs.append(trained(run_dir, manifest, features, "tunes", SETTINGS, seed=seed))

    store = FeatureStore(features)
    tracks = choose_split(load_dataset("manifest", manifest), "validation")
    chance = np.random.default_rng(0).standard_normal((len(tracks), 64))
    chance /= np.linalg.norm(chance, axis=1, keepdims=True)
    searches: list[tuple[str, Embed]] = [
        ("random vectors", lambda _: chance),
        ("length alone", length_alone),
        ("mean spectrum", mean_spectrum),
    ]
    for seed in UNTRAINED_SEEDS:
        network = untrained(seed)
        searches.append((f"untrained network, seed {seed}", network.embed_features))
    for seed in range(options.seeds):
        network = load_encoder(options.work_dir / f"run-{seed}")
        searches.append((f"trained network, seed {seed}", network.embed_features))
    rows = [row(name, embed, tracks, store) for name, embed in searches]
    body = (
        f"Real recordings of national anthems: {len(tracks)} validation recordings, "
        "each searched among the others. Half-width ResNet50-IBN, trained on the train "
        f"split for {runs[0]['epochs']} epochs of 150 steps of 32 crops "
        f"({runs[0]['seconds'] / 60:.0f} minutes). The best epoch is chosen on these "
        "same recordings, whole, so the trained figures are somewhat favourable; the "
        "test split was not looked at.\n\n"
        "Versions of an anthem are about equally long, and that alone finds as much as "
        "an untrained network does, whose output depends on the length of its input. "
        f"So each search is also made with every recording repeated or cut to "
        f"{EQUAL_FRAMES} frames; equal lengths tie, and ties count against a search.\n"
        "\n"
        + table(["", "whole: MAP [95%]", "MR1", "equally long: MAP [95%]", "MR1"], rows)
        + "\n\nSettings over the config `tunes`: "
        + ", ".join(f"`{setting}`" for setting in SETTINGS)
        + "."
    )
    write_section(
        "encoders",
        "Training on real recordings",
        command_of("accuracy.anthems", parser, options, without=["work_dir"]),
        body,
    )


if __name__ == "__main__":
    main()
