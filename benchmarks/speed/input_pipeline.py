"""Does the input pipeline keep a training step busy?

    python -m benchmarks.speed.input_pipeline

Fills stores of random features with growing numbers of recordings and reads
training batches from them, with every augmentation on.
"""

from __future__ import annotations

import tempfile
import time

import numpy as np

from benchmarks.common.report import table, write_section
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.track import Track
from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter
from bytecover_tf.training.augment import Augment
from bytecover_tf.training.batches import CropBatches, StoreReader, tf_dataset
from bytecover_tf.training.sampler import PKSampler

# SHS100K has 108 523 recordings of 8 858 works; a track of four minutes has 103
# frames, so the largest store takes 1.9 GB.
SIZES = (1_000, 10_000, 108_523)
BATCHES = 200
AUGMENT = Augment(
    stretch=0.5, transpose=0.5, mask_bins=0.5, mask_frames=0.5, tilt=0.5, noise=0.5
)


def measure(recordings: int, augment: Augment) -> float:
    """Return tracks per second from a store of that many recordings."""
    works = np.arange(recordings) // 12
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        contents = [rng.random((84, 103)) for _ in range(100)]
        with FeatureStoreWriter(folder, Frontend()) as writer:
            for number in range(recordings):
                writer.add(f"/{number}", str(number), contents[number % 100])
        store = FeatureStore(folder)
        tracks = [Track(str(n), str(n // 12), f"/{n}") for n in range(recordings)]
        batches = CropBatches(
            StoreReader(store, tracks),
            works,
            PKSampler(works),
            (40, 60, 80),
            augment,
            84,
        )
        dataset = iter(tf_dataset(batches, 0, BATCHES + 1))
        next(dataset)
        began = time.perf_counter()
        count = sum(len(labels) for _, labels in dataset)
        return count / (time.perf_counter() - began)


def main() -> None:
    rows = []
    for size in SIZES:
        speeds = [measure(size, augment) for augment in (Augment(), AUGMENT)]
        rows.append([f"{size:,}", *(f"{speed:,.0f}" for speed in speeds)])
    body = (
        f"Tracks per second over {BATCHES} batches of 32 crops (40, 60 or 80 frames) "
        "through tf.data, with nothing else running. The aim is 500; an H100 is "
        'estimated to need 2,000. The section "Training step" says how long a step '
        "takes on this machine.\n\n"
        + table(["recordings", "without augmentation", "with all of it"], rows)
    )
    write_section(
        "training", "Input pipeline", "python -m benchmarks.speed.input_pipeline", body
    )


if __name__ == "__main__":
    main()
