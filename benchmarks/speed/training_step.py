"""How long does a training step take, beside PyTorch's?

    python -m benchmarks.speed.training_step [--tried] [--rounds N]

Takes steps of the paper's network (ResNet50-IBN, its two losses, Adam) on one batch in
TensorFlow and in PyTorch with channels last, from the same weights, each in a process
of its own and in turns. Then says where TensorFlow's time goes. With --tried it also
times TensorFlow compiled by XLA and without oneDNN, which takes some minutes more.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.report import command_of, table, write_section
from benchmarks.common.workers import Worker

WORKS = 1000
LEARNING_RATE = 4e-4
MARGIN = 0.3
SEED = 0
# Blocks and width of the paper's network, and of one to try things with.
FULL, SMALL = ((3, 4, 6, 3), 64), ((1, 1, 1, 1), 16)


@dataclass
class Batch:
    """Eight works of four versions at the least, cut to one length."""

    size: int
    frames: int

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return features (size, 84, frames, 1) and labels (size,)."""
        rng = np.random.default_rng(SEED)
        features = rng.random((self.size, 84, self.frames, 1), np.float32) ** 3
        return features, np.arange(self.size) // 4


def seeded_model(blocks: Sequence[int], width: int, policy: str = "float32") -> Any:
    """Return a `Learner` in a precision, with weights that depend on the seed alone."""
    import keras

    from bytecover_tf.models.architecture import Architecture
    from bytecover_tf.models.bytecover import ByteCover
    from bytecover_tf.models.learner import Learner
    from bytecover_tf.models.objective import Objective

    keras.utils.set_random_seed(SEED)
    network = ByteCover(Architecture(blocks=tuple(blocks), width=width), dtype=policy)
    model = Learner(network, Objective(margin=MARGIN), WORKS)
    model.build((None, 84, None, 1))
    return model


class System(ABC):
    """A framework with the network, made anew in a process of its own."""

    def __init__(self, batch: Batch, blocks: Sequence[int], width: int) -> None:
        self.batch = batch
        self.blocks = blocks
        self.width = width

    def keras_model(self) -> Any:
        """Return the network with weights that depend on the seed alone."""
        return seeded_model(self.blocks, self.width)

    @abstractmethod
    def start(self) -> None:
        """Make the network."""

    @abstractmethod
    def step(self) -> float:
        """Take one step; return the loss before it."""


class TensorFlow(System):
    """`Learner.train_step` in a graph, as `fit` runs it."""

    xla = False

    def start(self) -> None:
        """Make the network."""
        import keras
        import tensorflow as tf

        model = self.keras_model()
        model.compile(keras.optimizers.Adam(LEARNING_RATE))
        features, works = map(tf.constant, self.batch.arrays())
        self._step = tf.function(
            lambda: model.train_step((features, works)), jit_compile=self.xla
        )
        self._trackers = model.trackers

    def step(self) -> float:
        """Take one step; return the loss before it."""
        self._trackers["loss"].reset_state()
        return float(self._step()["loss"])


class Xla(TensorFlow):
    """The same, compiled."""

    xla = True


class WithoutOneDnn(TensorFlow):
    """The same by Eigen's convolutions."""

    def start(self) -> None:
        """Make the network."""
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
        super().start()


class PyTorch(System):
    """The usual idiom, channels last."""

    def start(self) -> None:
        """Make the network."""
        import torch

        from benchmarks.common.torch_model import TorchByteCover

        model = self.keras_model()
        self._network = TorchByteCover(model.network).to(
            memory_format=torch.channels_last
        )
        self._network.train()
        self._network.neck.bias.requires_grad_(False)
        kernel = torch.from_numpy(model.classifier.kernel.numpy().T.copy())
        self._classifier = torch.nn.Parameter(kernel)
        parameters = [p for p in self._network.parameters() if p.requires_grad]
        self._optimizer = torch.optim.Adam(
            [*parameters, self._classifier], LEARNING_RATE, eps=1e-7
        )
        features, works = self.batch.arrays()
        self._features = torch.from_numpy(features[..., 0])
        self._works = torch.from_numpy(works)

    def step(self) -> float:
        """Take one step; return the loss before it."""
        from torch.nn import functional

        network, works = self._network, self._works
        self._optimizer.zero_grad(set_to_none=True)
        x = network.backbone(self._features[:, None] ** network.power)
        f_t = x.clamp(min=1e-6).pow(network.p).mean(dim=(2, 3)).pow(1 / network.p)
        logits = functional.linear(network.neck(f_t), self._classifier)
        loss = functional.cross_entropy(logits, works) + self._triplet(f_t, works)
        loss.backward()
        self._optimizer.step()
        return float(loss.detach())

    def _triplet(self, f_t: Any, works: Any) -> Any:
        import torch

        distances = torch.cdist(f_t, f_t, compute_mode="donot_use_mm_for_euclid_dist")
        same = works[:, None] == works[None]
        farthest = distances.masked_fill(~same, 0).amax(1)
        nearest = distances.masked_fill(same, float("inf")).amin(1)
        return torch.relu(farthest - nearest + MARGIN).mean()


# -- what a process is asked to do -------------------------------------------------


def begin(system: System) -> tuple[float, float]:
    """Return the seconds until the first step is done, and its loss."""
    start = time.perf_counter()
    system.start()
    loss = system.step()
    return time.perf_counter() - start, loss


def take(system: System) -> tuple[float, float]:
    """Return the seconds of wall-clock and of processor time of one step."""
    wall, processor = time.perf_counter(), time.process_time()
    system.step()
    return time.perf_counter() - wall, time.process_time() - processor


def profile(system: TensorFlow) -> dict[str, float]:
    """Return the seconds in each kind of operation of one step, over all threads."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            system.step()
        (path,) = Path(folder).rglob("*.xplane.pb")
        space.ParseFromString(path.read_bytes())
    seconds: Counter[str] = Counter()
    for plane in space.planes:
        names = {key: item.name for key, item in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                # An operation is called "name in the graph:kind", a C++ one a::b.
                place, colon, kind = names[event.metadata_id].rpartition(":")
                if colon and kind.isidentifier() and not place.endswith(":"):
                    seconds[kind] += event.duration_ps / 1e12
    return dict(seconds)


def profile_table(seconds: dict[str, float], most: int = 14) -> str:
    """Return the largest shares as a table."""
    total = sum(seconds.values())
    ranked = sorted(seconds.items(), key=lambda item: -item[1])[:most]
    return table(
        ["operation", "seconds", "share"],
        [
            [kind, f"{spent:.3f}", f"{spent / total:.0%}"]
            for kind, spent in ranked[:most]
        ],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32, help="recordings in a batch")
    parser.add_argument(
        "--frames", type=int, default=103, help="frames of each recording"
    )
    parser.add_argument(
        "--rounds", type=int, default=10, help="number of steps of each system"
    )
    parser.add_argument(
        "--small", action="store_true", help="use a network of 4 blocks"
    )
    parser.add_argument(
        "--tried",
        action="store_true",
        help="measure XLA, and TensorFlow without oneDNN, too",
    )
    options = parser.parse_args(arguments)
    batch = Batch(options.batch, options.frames)
    size = SMALL if options.small else FULL
    kinds: dict[str, type[System]] = {
        "PyTorch, channels last": PyTorch,
        "TensorFlow": TensorFlow,
    }
    if options.tried:
        kinds |= {"TensorFlow, XLA": Xla, "TensorFlow without oneDNN": WithoutOneDnn}
    workers = {name: Worker(kind(batch, *size)) for name, kind in kinds.items()}
    first = {name: worker.do(begin) for name, worker in workers.items()}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in workers}
    for _ in range(options.rounds):
        for name, worker in workers.items():
            spent[name].append(worker.do(take))
    shares = workers["TensorFlow"].do(profile)
    for worker in workers.values():
        worker.__exit__()
    medians = {name: np.median(times, axis=0) for name, times in spent.items()}
    reference = medians["PyTorch, channels last"]
    rows = [
        [
            name,
            f"{wall:.2f}",
            f"{reference[0] / wall:.2f}",
            f"{processor:.2f}",
            f"{reference[1] / processor:.2f}",
            f"{first[name][0]:.0f}",
            f"{first[name][1]:.5f}",
        ]
        for name, (wall, processor) in medians.items()
    ]
    header = [
        "",
        "seconds a step",
        "speed, PyTorch = 1",
        "processor seconds",
        "per processor second, PyTorch = 1",
        "start and first step, s",
        "first loss",
    ]
    body = (
        f"Steps of {batch.size} x 84 x {batch.frames}, stages of "
        f"{'-'.join(map(str, size[0]))} bottlenecks, width {size[1]}, {WORKS:,} works: "
        "forward, both losses, backward and Adam, from the same weights; medians of "
        f"{options.rounds} steps, in turns. The aim is PyTorch's speed.\n\n"
        + table(header, rows)
        + "\n\nWhere a step of TensorFlow spends its time, over all threads:\n\n"
        + profile_table(shares)
    )
    command = command_of("speed.training_step", parser, options)
    write_section("training", "Training step", command, body)


if __name__ == "__main__":
    main()
