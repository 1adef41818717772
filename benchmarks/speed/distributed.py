"""How much faster do several processes train, and what does their exchange cost?

    python -m benchmarks.speed.distributed

Workers of `MultiWorkerMirroredStrategy` on this machine, each on a core of its own and
with 16 crops of every batch, so that with twice the workers a batch is twice as large.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import keras
import numpy as np

from benchmarks.common.processes import free_ports
from benchmarks.common.report import table, write_section
from bytecover_tf.configs import load_config
from bytecover_tf.training.augment import Augment
from bytecover_tf.training.batches import CropBatches, tf_dataset
from bytecover_tf.training.config import override
from bytecover_tf.training.sampler import PKSampler

WORKERS = [count for count in (1, 2, 4) if count <= (os.cpu_count() or 1)]
NETWORKS = {"tunes": 20, "bytecover": 4}
MINING = {"global": "whole batch", "replica": "own share"}
CROPS, FRAMES, WARM_UP = 16, 60, 2


class RandomReader:
    """Makes crops of nothing at no cost."""

    def crop(self, index: int, frames: int, rng: np.random.Generator) -> np.ndarray:
        """Return (frames, 84)."""
        return rng.random((frames, 84), np.float32)


class Clock(keras.callbacks.Callback):
    """Takes the time of every step after the first ones."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())

    @property
    def step(self) -> float:
        """Mean length in seconds."""
        return float(np.diff(self.ends[WARM_UP - 1 :]).mean())


def work(name: str, mining: str) -> None:
    """Train as one worker; print the values exchanged and the seconds of a step."""
    from bytecover_tf.models.bytecover import ByteCover
    from bytecover_tf.models.learner import Learner
    from bytecover_tf.training.replicas import join

    replicas = join()
    config = override(load_config(name), [f"mining={mining}"])
    works = np.arange(400) // 4
    sampler = PKSampler(works, CROPS // 4 * replicas.count, 4)
    batches = CropBatches(RandomReader(), works, sampler, (FRAMES,), Augment(), 84)
    with replicas.scope():
        model = Learner(ByteCover(config.architecture), config.objective, 100)
        model.build((None, 84, None, 1))
        model.compile(keras.optimizers.Adam(1e-4), jit_compile=False)
    steps, clock = WARM_UP + NETWORKS[name], Clock()
    share = sampler.share(replicas.here[0], replicas.count)
    replicas.fit(
        model,
        lambda: tf_dataset(batches, 0, steps, [share]),
        epochs=1,
        initial_epoch=0,
        steps_per_epoch=steps,
        callbacks=[clock],
    )
    values = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    print(json.dumps({"values": values, "step": clock.step}))


def on_core(core: int) -> list[str]:
    """Return what goes before a command to keep it on one core."""
    return ["taskset", "--cpu-list", str(core)] if shutil.which("taskset") else []


def measure(name: str, workers: int, mining: str) -> dict[str, float]:
    """Return what the chief of so many workers prints."""
    worker = [sys.executable, "-m", "benchmarks.speed.distributed", name, mining]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(workers)]}
    processes = []
    for index in range(workers):
        task = {"type": "worker", "index": index}
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if workers > 1:
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        processes.append(
            subprocess.Popen(
                [*on_core(index), *worker],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    outputs = [process.communicate()[0] for process in processes]
    return json.loads(outputs[0].splitlines()[-1])


def main() -> None:
    if sys.argv[1:]:
        work(*sys.argv[1:])
        return
    rows = []
    for name in NETWORKS:
        alone = 0.0
        # Alone, a worker's share is the whole batch.
        runs = [(n, m) for n in WORKERS for m in MINING if n > 1 or m == "global"]
        for workers, mining in runs:
            found = measure(name, workers, mining)
            speed = workers * CROPS / found["step"]
            alone = alone or speed
            rows.append(
                [
                    f"{name}, {found['values'] / 1e6:.1f} million values",
                    str(workers),
                    MINING[mining],
                    f"{1000 * found['step']:,.0f}",
                    f"{speed:.1f}",
                    f"{speed / alone:.2f}",
                ]
            )
    body = (
        f"Worker processes on one machine, each with one core and {CROPS} crops of "
        f"{FRAMES} frames in a step, exchanging over loopback in float32; synchronised "
        "batch normalisation; triplets from the whole batch, or from each worker's own "
        "share (`mining=replica`). One worker trains with Keras's `fit`. Values "
        "exchanged include the classifier of 100 works.\n\n"
        + table(
            [
                "network",
                "workers",
                "triplets from",
                "ms a step",
                "crops per second",
                "times one worker",
            ],
            rows,
        )
    )
    write_section(
        "training",
        "Training in several processes",
        "python -m benchmarks.speed.distributed",
        body,
    )


if __name__ == "__main__":
    main()
