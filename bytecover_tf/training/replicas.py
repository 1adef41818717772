"""Training in several copies of the model, on the devices of one host or of several.

TensorFlow's strategies do the work: `MultiWorkerMirroredStrategy` if the variable
`TF_CONFIG` names several hosts, `MirroredStrategy` for several devices of one host.
Each replica takes its share of every batch, and gradients are summed before each step,
so the replicas stay equal. The first host is the chief; only the chief writes.

Keras's `fit` fails with several hosts (keras issue 20585, still open in 3.15.1). So
`Replicas.fit` has a loop of its own for several replicas.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from bytecover_tf.cores import NVIDIA
from bytecover_tf.errors import ClusterError, ConfigError
from bytecover_tf.files import JsonObject
from bytecover_tf.layers.collective import synchronise
from bytecover_tf.terminal import warn

if TYPE_CHECKING:
    import tensorflow as tf


@contextmanager
def _lost_host() -> Iterator[None]:
    """Turn TensorFlow's errors about a lost host into one clear error."""
    import tensorflow as tf

    errors = tf.errors
    try:
        yield
    except (
        errors.UnavailableError,
        errors.AbortedError,
        errors.CancelledError,
        errors.DeadlineExceededError,
    ) as error:
        raise ClusterError(
            "another host of TF_CONFIG is gone, or cannot be reached; start all of "
            "them again, with --resume if there is a checkpoint "
            f"({error.message.splitlines()[0]})"
        ) from error


class Replicas:
    """The copies of a model that take every step together.

    Args:
        strategy: a mirrored strategy of TensorFlow; None for a single copy.

    Attributes:
        count: copies on all hosts together.
        here: numbers of the copies in this process.
        is_chief: whether this process writes the results.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self._strategy: Any = strategy
        self.count = 1 if strategy is None else strategy.num_replicas_in_sync
        member, self._members = _place(strategy)
        local = self.count // self._members
        self.here = range(member * local, (member + 1) * local)
        self.is_chief = member == 0

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Enter the scope in which to make a model and its optimiser.

        Raises:
            ClusterError: another host is gone.
        """
        if self._strategy is None:
            yield
            return
        with _lost_host(), self._strategy.scope():
            yield

    def wait(self) -> None:
        """Return when all hosts have reached this call.

        Raises:
            ClusterError: one of them is gone.
        """
        self._gather_lines("")

    @contextmanager
    def chief_first(self) -> Iterator[None]:
        """Let the chief go first, so that the others find its files."""
        if not self.is_chief:
            self.wait()
        yield
        if self.is_chief:
            self.wait()

    def check_same(self, facts: JsonObject) -> None:
        """Check that all hosts are about to do the same.

        Args:
            facts: what must be equal, by name, nested or not, ready for JSON.

        Raises:
            ConfigError: a host differs from the chief; it is raised on every host.
        """
        lines = self._gather_lines(json.dumps(facts))
        chief, *others = [_flat(json.loads(line)) for line in lines]
        differing = [
            f"{name} is {other.get(name)!r} on worker {number}, {chief.get(name)!r} "
            "on worker 0"
            for number, other in enumerate(others, 1)
            for name in dict.fromkeys([*chief, *other])
            if chief.get(name) != other.get(name)
        ]
        if differing:
            raise ConfigError(
                "the workers of TF_CONFIG do not agree: " + "; ".join(differing)
            )

    def _gather_lines(self, line: str) -> list[str]:
        """Return one line of text from every host, the chief's first."""
        if self._members == 1:
            return [line]
        import tensorflow as tf

        codes = np.frombuffer(f"{line}\n".encode(), np.uint8).astype(np.int32)
        values = self._strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(
                codes if context.replica_id_in_sync_group == self.here[0] else codes[:0]
            )
        )
        with _lost_host():
            gathered = self._strategy.gather(values, axis=0)
        return gathered.numpy().astype(np.uint8).tobytes().decode().splitlines()

    def fit(
        self,
        model: keras.Model,
        dataset: Callable[[], Any],
        epochs: int,
        initial_epoch: int,
        steps_per_epoch: int,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        """Train as `keras.Model.fit` does; a single replica uses that method.

        Args:
            model: made and compiled in `scope`.
            dataset: makes the batches of this process, one element for each replica
                `here` in turn.
            epochs: number of the last epoch.
            initial_epoch: epochs that are done.
            steps_per_epoch: steps in each.
            callbacks: run by this process; logs hold means over all replicas.

        Raises:
            ClusterError: a host is gone.
        """
        if self._strategy is None:
            model.fit(
                dataset(),
                epochs=epochs,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                callbacks=callbacks,
                verbose=0,
                shuffle=False,
            )
            return
        import tensorflow as tf

        strategy = self._strategy
        synchronise(model)
        names = [metric.name for metric in model.metrics]

        def on_replica(batch: Any) -> tf.Tensor:
            results = model.train_step(batch)
            return tf.stack([results[name] for name in names])

        @tf.function(reduce_retracing=True)
        def step(batch: Any) -> tf.Tensor:
            return strategy.reduce("MEAN", strategy.run(on_replica, (batch,)), None)

        model.stop_training = False
        logs: dict[str, float] = {}
        with _lost_host():
            if not model.optimizer.built:
                with strategy.scope():
                    model.optimizer.build(model.trainable_variables)
            batches = iter(
                strategy.distribute_datasets_from_function(lambda context: dataset())
            )
            listeners = keras.callbacks.CallbackList(
                list(callbacks),
                add_progbar=False,
                model=model,
                epochs=epochs,
                steps=steps_per_epoch,
            )
            listeners.on_train_begin()
            for epoch in range(initial_epoch, epochs):
                model.reset_metrics()
                listeners.on_epoch_begin(epoch)
                for number in range(steps_per_epoch):
                    listeners.on_train_batch_begin(number)
                    values = step(next(batches)).numpy()
                    logs = dict(zip(names, values, strict=True))
                    listeners.on_train_batch_end(number, logs)
                    if model.stop_training:
                        break
                listeners.on_epoch_end(epoch, logs)
                if model.stop_training:
                    break
            listeners.on_train_end(logs)


def join() -> Replicas:
    """Return the replicas that this process belongs to.

    Call it before TensorFlow has done anything. It returns when all hosts that
    `TF_CONFIG` names have been started.

    Raises:
        ConfigError: `TF_CONFIG` cannot be used.
    """
    cluster = _cluster()
    if keras.backend.backend() != "tensorflow":
        if cluster:
            raise ConfigError(
                "TF_CONFIG names several hosts, which only Keras's tensorflow backend "
                f"can use; this is {keras.backend.backend()}"
            )
        return Replicas()
    import tensorflow as tf

    if cluster:
        count = sum(len(hosts) for hosts in cluster.values())
        print(f"waiting for {count} hosts of TF_CONFIG", file=sys.stderr)
        return Replicas(tf.distribute.MultiWorkerMirroredStrategy())
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus and NVIDIA.exists():
        warn(
            "warning: TensorFlow cannot use the GPU, so this trains on the CPU; CUDA's "
            'libraries come with `pip install "tensorflow[and-cuda]"`'
        )
    # CPUs count as devices only if they have been divided, as tests do.
    devices = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
    if len(devices) == 1:
        return Replicas()
    return Replicas(tf.distribute.MirroredStrategy(devices))


def _flat(facts: JsonObject, prefix: str = "") -> JsonObject:
    flat: JsonObject = {}
    for name, value in facts.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def _cluster() -> JsonObject:
    """Return the hosts by kind that `TF_CONFIG` names; empty if there are none."""
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return {}
    try:
        config = json.loads(text)
        cluster = config.get("cluster", {})
        known = not cluster or config["task"]["type"] in ("chief", "worker")
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ConfigError(
            'TF_CONFIG: expected {"cluster": {"worker": ["host:port", ...]}, '
            f'"task": {{"type": "worker", "index": 0}}}}, not {text!r} ({error!r})'
        ) from None
    if not known:
        raise ConfigError(
            f"TF_CONFIG: expected a task of type chief or worker, not {config['task']}"
        )
    return cluster


def _place(strategy: tf.distribute.Strategy | None) -> tuple[int, int]:
    """Return this host's number and how many there are."""
    resolver = strategy and strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec():
        return 0, 1
    hosts = resolver.cluster_spec().as_dict()
    members = [
        (kind, index)
        for kind in ("chief", "worker")
        for index in range(len(hosts.get(kind, [])))
    ]
    return members.index((resolver.task_type, resolver.task_id)), len(members)
