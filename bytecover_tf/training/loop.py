"""Training of an encoder, with validation, checkpoints and continuation.

It leaves in the run directory

    encoder.keras      the model of the best epoch, ready to be used
    checkpoint.keras   the last epoch with the optimiser's state, to continue from
    log.csv            one line an epoch
    tensorboard/       the same for TensorBoard
    metrics.json       at the end: figures on unseen works, before and after
    training.png       the course of the training, and how alike unseen recordings are

All state that continuing needs is in `checkpoint.keras`; batches follow from the
seed and the step's number. A run killed at any moment loses at most one epoch.

With several replicas (`training.replicas`) each takes its share of every batch,
and only the chief validates and writes; all others read the same checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import keras

from bytecover_tf.data.provenance import Provenance
from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Encoder, KerasNetwork, load_encoder
from bytecover_tf.encoders.model_file import load_learner
from bytecover_tf.encoders.notes import take_hearing
from bytecover_tf.errors import ConfigError, DivergedError
from bytecover_tf.evaluation.plots import plot_training
from bytecover_tf.evaluation.protocol import describe
from bytecover_tf.files import JsonObject, write_atomically
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.learner import Learner
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.terminal import show, warn
from bytecover_tf.training.config import Config
from bytecover_tf.training.feed import make_batches, stream
from bytecover_tf.training.measuring import measure, reads_whole_recordings
from bytecover_tf.training.optimizer import learning_rate, make_optimizer
from bytecover_tf.training.recorder import Recorder, State, write_log
from bytecover_tf.training.remaining import Remaining
from bytecover_tf.training.replicas import Replicas, join
from bytecover_tf.training.splits import Splits, warn_of_copies, warn_of_few
from bytecover_tf.training.taught_batches import taught
from bytecover_tf.training.warm_start import load_teacher, take_weights


def train(
    config: Config,
    tracks: Sequence[Track],
    store: FeatureStore,
    run_dir: Path,
    seed: int = 0,
    resume: bool = False,
    data: str = "",
    waveforms: bool = False,
    init: Path | None = None,
    teacher: Path | None = None,
    replicas: Replicas | None = None,
) -> JsonObject:
    """Train an encoder and measure it on unseen works.

    Args:
        config: all settings.
        tracks: recordings with their splits.
        store: features of all tracks.
        run_dir: where the results are written.
        seed: seed of the weights, batches and changes to crops.
        resume: continue from the checkpoint in `run_dir`, if there is one.
        data: name of the data set, recorded with the encoder.
        waveforms: crop audio files instead of the features in the store.
        init: an encoder whose weights to start from, as a run directory or a
            `.keras` file, or an ensemble with such a member; without it they are
            random. A continued run has its own.
        teacher: an encoder, named likewise. With `salience` it shows where to embed
            the scores of recordings; by `config.teaching` it shows their distances, or
            where to embed crops: as it embeds the wholes.
        replicas: the replicas that train; without it, those that `join` returns.

    Returns:
        What `metrics.json` holds: `map`, `p_at_10`, `mr1`, `map_interval` on
        unseen works, and the same under `before` for the network at the start.
        Nothing on a host that is not the chief.

    Raises:
        DataError: the splits cannot be used, or `init` or `teacher` was trained on
            unseen works.
        ConfigError: the settings do not fit the data, the checkpoint, `init` or
            `teacher`.
        EncoderError: `init` or `teacher` cannot be read.
        FrontendMismatch: `init` or `teacher` reads other features.
        ClusterError: another host is gone.
    """
    replicas = replicas or join()
    splits = Splits.of(tracks, store)
    if replicas.is_chief:
        run_dir.mkdir(parents=True, exist_ok=True)
        warn_of_copies(splits, store)
        warn_of_few(splits)
    works = sorted({track.work for track in splits.train})
    checkpoint = run_dir / "checkpoint.keras"
    scored = teacher is not None and config.teaching == "scores"
    if teacher is None and config.teaching != "scores":
        raise ConfigError(
            f"teaching={config.teaching} needs a teacher; name it with --teacher"
        )
    # Only then does that write a file.
    with replicas.chief_first() if config.hear_once else nullcontext():
        batches = make_batches(
            config, splits.train, works, store, seed, waveforms, scored
        )
    shares = [batches.sampler.share(number, replicas.count) for number in replicas.here]
    teaching, origin = None, None
    if teacher is not None:
        with replicas.scope():
            teaching, origin = load_teacher(teacher, config, splits, store, data)
    keras.utils.set_random_seed(seed)
    model, state = (
        _continued(config, len(works), checkpoint, teaching, replicas)
        if resume and checkpoint.exists()
        else _new(config, len(works), splits, store, data, init, teaching, replicas)
    )
    state.teacher = origin
    if state.trained_on is not None:
        ours = _provenance(splits, store, data, state)
        begun = Provenance.from_dict(state.trained_on)
        _check_same_works(checkpoint, ours, begun)
        _check_still_unseen(checkpoint, begun, splits, store, data)
        if others := len(ours.content ^ begun.content):
            warn(
                f"warning: {others} of the training recordings have come, gone or "
                "changed since the run began, so not all its batches are of the same"
            )
        _warn_of_other_measures(state.measured_on, splits.fingerprints(store))
    done = len(state.history)
    if done < config.epochs:
        if teaching is not None and config.teaching == "wholes":
            batches = taught(batches, teaching, splits.train, store)
        callbacks = [_TripletJoins(config.triplet_from_epoch)]
        if replicas.is_chief:
            facts = {
                "config": config.to_dict(),
                "seed": seed,
                "init": state.init,
                "teacher": state.teacher,
                "trained_on": _provenance(splits, store, data, state)
                .merge(*map(Provenance.from_dict, filter(None, [state.trained_on])))
                .to_dict(),
            }
            callbacks += [
                Recorder(run_dir, facts, splits.validation, store, state, replicas),
                *_tensorboard(run_dir),
                Remaining(done, config.epochs, config.steps_per_epoch),
            ]
        callbacks.append(keras.callbacks.TerminateOnNaN())
        start = done * config.steps_per_epoch
        replicas.fit(
            model,
            lambda: stream(batches, start, config.total_steps, shares),
            epochs=config.epochs,
            initial_epoch=done,
            steps_per_epoch=config.steps_per_epoch,
            callbacks=callbacks,
        )
        if model.stop_training:
            raise DivergedError(
                f"the loss is no longer a number after epoch {len(state.history)}; "
                "try a lower learning_rate or a warm-up"
            )
    with replicas.chief_first():
        if not replicas.is_chief:
            return {}
        return _conclude(run_dir, splits, store, state, data)


def _provenance(
    splits: Splits, store: FeatureStore, data: str, state: State
) -> Provenance:
    """Return what the model is trained on, by itself and by what it started from."""
    earlier = [record["trained_on"] for record in (state.init, state.teacher) if record]
    return Provenance.of(data, splits.train, store).merge(
        *map(Provenance.from_dict, earlier)
    )


def _check_same_works(checkpoint: Path, ours: Provenance, theirs: Provenance) -> None:
    """Refuse to go on with other works, whose labels and splits would be others."""
    names = {*ours.works, *theirs.works}
    different = {
        work
        for name in names
        for work in ours.works.get(name, set()) ^ theirs.works.get(name, set())
    }
    if different:
        raise ConfigError(
            f"{checkpoint}: was trained on other works than the data has now; "
            f"{len(different)} differ, such as {min(different)!r}. Train anew, in "
            "another --run-dir"
        )


def _check_still_unseen(
    checkpoint: Path,
    begun: Provenance,
    splits: Splits,
    store: FeatureStore,
    data: str,
) -> None:
    """Refuse to go on if what was trained on is to be measured on now."""
    unseen = splits.unseen_tracks
    content = store.content(track.path for track in unseen)
    _, seen = begun.overlap(data, unseen, content)
    if seen:
        raise ConfigError(
            f"{checkpoint}: was trained on {len(seen)} recordings that the data has in "
            f"another split now, such as {seen[0]}. Train anew, in another --run-dir"
        )


def _warn_of_other_measures(begun: dict[str, str], now: dict[str, str]) -> None:
    """Warn if figures of one run are of different recordings."""
    changed = [part for part in begun if now.get(part) != begun[part]]
    if changed:
        warn(
            f"warning: the {' and '.join(changed)} recordings or their works have "
            "changed since the run began, so its figures cannot be compared"
        )


def _continued(
    config: Config,
    num_works: int,
    checkpoint: Path,
    teacher: ByteCover | None,
    replicas: Replicas,
) -> tuple[Learner, State]:
    """Return a checkpoint's model and state."""
    with replicas.scope():
        model, info = load_learner(checkpoint, teacher)
    if info["num_works"] != num_works:
        raise ConfigError(
            f"{checkpoint}: was trained on {info['num_works']} works, "
            f"the data has {num_works}"
        )
    if info.get("teacher") and teacher is None:
        raise ConfigError(f"{checkpoint}: was trained with a teacher; name it again")
    config.check_continues(Config.from_dict(info["config"]), checkpoint)
    done = len(info["history"])
    if done > config.epochs:
        raise ConfigError(
            f"{checkpoint}: was trained for {done} epochs; expected at least as many, "
            f"found epochs={config.epochs}"
        )
    model.optimizer.learning_rate = learning_rate(config)
    return model, State(
        info["before"],
        info.get("init"),
        history=info["history"],
        trained_on=info.get("trained_on"),
        measured_on=info.get("measured_on", {}),
    )


def _new(
    config: Config,
    num_works: int,
    splits: Splits,
    store: FeatureStore,
    data: str,
    init: Path | None,
    teacher: ByteCover | None,
    replicas: Replicas,
) -> tuple[Learner, State]:
    """Return a model that has not taken a step, and its state."""
    with replicas.scope():
        network = ByteCover(config.architecture, dtype=config.precision)
        model = Learner(network, config.objective, num_works, teacher)
        model.build((None, store.frontend.n_bins, None, 1))
        take_hearing(network)
        model.compile(make_optimizer(config), jit_compile=False)
        # If the first step made its variables, TensorFlow would trace that step twice.
        model.optimizer.build(model.trainable_variables)
    if teacher is not None and config.reconfigure:
        network.take_extractor(teacher)
    origin = None
    if init is not None:
        origin = take_weights(network, init, splits, store, data)
    measured_on = splits.fingerprints(store)
    if not replicas.is_chief:
        return model, State(None, origin, measured_on=measured_on)
    alone = network if replicas.count == 1 else network.encoder()
    encoder = Encoder(KerasNetwork(alone, store.frontend))
    before = measure(encoder, splits.test, store).metrics
    show(f"before training, {splits.unseen} works: {describe(before)}")
    return model, State(before, origin, measured_on=measured_on)


def _tensorboard(run_dir: Path) -> list[keras.callbacks.Callback]:
    # TensorFlow writes the logs; a machine that trains on JAX may not have it.
    if find_spec("tensorflow") is None:
        return []
    return [keras.callbacks.TensorBoard(str(run_dir / "tensorboard"))]


class _TripletJoins(keras.callbacks.Callback):
    """Lets the triplet loss take part from some epoch on."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.model.triplet_weight is not None:
            self.model.triplet_weight.assign(float(epoch >= self._epoch))


def _conclude(
    run_dir: Path,
    splits: Splits,
    store: FeatureStore,
    state: State,
    data: str,
) -> JsonObject:
    """Measure the best epoch's encoder on unseen works and write the figures."""
    # A run that was killed may have left the log an epoch behind.
    write_log(run_dir, state)
    encoder = load_encoder(run_dir / "encoder.keras")
    found = measure(encoder, splits.test, store)
    after = found.metrics
    figures = {
        **after,
        "split": splits.unseen,
        "data": data,
        "whole_recordings": reads_whole_recordings(),
        "best_epoch": encoder.info["epoch"],
        "epochs": len(state.history),
        "seed": encoder.info["seed"],
        "seconds": round(sum(row["seconds"] for row in state.history), 1),
        "cpu_seconds": round(sum(row.get("cpu_seconds", 0) for row in state.history)),
        "versions": encoder.info["versions"],
        "frontend": encoder.frontend.to_dict(),
        "before": state.before,
    }
    write_atomically(run_dir / "metrics.json", json.dumps(figures, indent=1) + "\n")
    assert state.before is not None
    show(f"before training, {splits.unseen} works: {describe(state.before)}")
    show(f"after training,  {splits.unseen} works: {describe(after)}")
    if find_spec("matplotlib") is not None:
        plot_training(
            [row["validation_map"] for row in state.history],
            (state.before["map"], after["map"]),
            found,
            run_dir / "training.png",
        )
    return figures
