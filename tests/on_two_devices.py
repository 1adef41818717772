"""What tests/training/test_replicas.py runs on a processor that is divided in two.

    python tests/on_two_devices.py FOLDER mine|SETTING ...

With `mine`, reads `given.npz` in FOLDER and writes `found.npz`. Else trains with the
settings, if there are any besides those in FOLDER, on the tracks and the store there.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from bytecover_tf.data.track import Track
from bytecover_tf.layers.batch_norm import BatchNorm
from bytecover_tf.layers.collective import agree_on_finite, share_of_mean
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.learner import Learner
from bytecover_tf.models.objective import Objective
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.training.config import Config, override
from bytecover_tf.training.loop import train
from bytecover_tf.training.replicas import Replicas, join

OUTPUTS = ("f_t", "f_c", "windows")


def loss_and_gradients(model, works, *outputs):
    """Return a replica's share of the loss and its gradients on the outputs."""
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        named = dict(zip(OUTPUTS, outputs, strict=True))
        loss = share_of_mean(model.compute_loss(None, works, named))
    return loss, *tape.gradient(loss, outputs)


def taught(model, works, f_c, target):
    """Return a replica's share of the loss of a teacher, and its gradient on f_c."""
    with tf.GradientTape() as tape:
        tape.watch(f_c)
        taken = {"target": target}
        loss = share_of_mean(model.compute_loss(taken, works, {"f_c": f_c}))
    return loss, tape.gradient(loss, f_c)


def normalised(layer, maps, weights):
    """Return a batch normalisation's result in training and the maps' gradients."""
    with tf.GradientTape() as tape:
        tape.watch(maps)
        result = layer(maps, training=True)
        loss = tf.reduce_sum(result**2 * weights)
    return result, tape.gradient(loss, maps)


def small_model(kernel, temperature, **objective):
    """Return a model of which only the losses are used."""
    windows = 1 if temperature is None else 2
    objective = {"temperature": temperature, "windows": windows, **objective}
    network = ByteCover(
        Architecture(blocks=(1, 1, 1, 1), width=4, embedding_dim=len(kernel))
    )
    model = Learner(network, Objective(**objective), kernel.shape[1])
    if model.classifier is not None:
        model.classifier.build((None, len(kernel)))
        model.classifier.set_weights([kernel])
    return model


def mine(folder: Path, replicas: Replicas) -> None:
    strategy = replicas._strategy
    given = np.load(folder / "given.npz")

    def spread(array):
        halves = np.split(array, 2)
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(halves[context.replica_id_in_sync_group])
        )

    found = {}
    batch = [spread(given[name]) for name in ("works", *OUTPUTS)]
    for mining in ("global", "replica"):
        for temperature in (None, 0.1):
            with replicas.scope():
                model = small_model(given["kernel"], temperature, mining=mining)
            run = tf.function(lambda *values, model=model: strategy.run(
                loss_and_gradients, (model, *values)))  # fmt: skip
            for name, values in zip(("loss", *OUTPUTS), run(*batch), strict=True):
                if values is not None:
                    local = strategy.experimental_local_results(values)
                    found[f"{mining} {temperature} {name}"] = np.stack(local)

    batch = [spread(given[name]) for name in ("works", "f_c", "f_t")]
    for mining in ("global", "replica"):
        with replicas.scope():
            model = small_model(given["kernel"], None, mining=mining, teaching="wholes")
        run = tf.function(
            lambda *values, model=model: strategy.run(taught, (model, *values))
        )
        for name, values in zip(("loss", "f_c"), run(*batch), strict=True):
            local = strategy.experimental_local_results(values)
            found[f"{mining} taught {name}"] = np.stack(local)

    with replicas.scope():
        layer = BatchNorm(synchronized=True)
        layer.build(given["maps"].shape)
    run = tf.function(lambda *values: strategy.run(normalised, (layer, *values)))
    batch = [spread(given[name]) for name in ("maps", "weights")]
    for name, values in zip(("norm", "norm gradients"), run(*batch), strict=True):
        found[name] = np.concatenate(strategy.experimental_local_results(values))
    found["moving mean"], found["moving variance"] = layer.get_weights()[2:]

    for name in ("finite", "overflow"):
        without, values = strategy.run(agree_on_finite, ([None, spread(given[name])],))
        assert without is None
        found[name] = np.stack(strategy.experimental_local_results(values))
    np.savez(folder / "found.npz", **found)


def learn(folder: Path, replicas: Replicas, more: list[str]) -> None:
    tracks = [
        Track(**track) for track in json.loads((folder / "tracks.json").read_text())
    ]
    store = FeatureStore(folder / "store")
    settings = (folder / "settings").read_text().splitlines()
    config = override(Config(), [*settings, *more])
    train(config, tracks, store, folder / "two devices", seed=1, replicas=replicas)


def main(folder: Path, *what: str) -> None:
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    replicas = join()
    assert replicas.count == 2
    if what == ("mine",):
        mine(folder, replicas)
    else:
        learn(folder, replicas, list(what))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
