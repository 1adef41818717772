"""Training of an encoder, with validation, checkpoints and continuation.

A run directory holds

    run.json           the request: settings, data, seed
    encoder.keras      the model of the best epoch, ready to be used
    checkpoint.keras   the last epoch with the optimiser's state, to continue from
    log.csv            one line an epoch
    tensorboard/       the same for TensorBoard
    metrics.json       at the end: figures on unseen works, before and after

All state that continuing needs is in `checkpoint.keras`; batches follow from the
seed and the step's number. A run killed at any moment loses at most one epoch.

With several replicas (`training.replicas`) each takes its share of every batch,
and only the chief validates and writes; all others read the same checkpoint.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.leakage import check_leakage, near_duplicates
from bytecover_tf.data.provenance import Provenance
from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Encoder, KerasNetwork, load_encoder
from bytecover_tf.encoders.model_file import (
    encoder_file,
    load_learner,
    load_model,
    load_single,
    save_model,
    versions,
)
from bytecover_tf.errors import ConfigError, DataError
from bytecover_tf.evaluation.protocol import (
    check_unseen,
    describe,
    evaluate_tracks,
)
from bytecover_tf.files import content_hash, write_atomically
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.ensemble import Ensemble
from bytecover_tf.models.learner import Learner
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.stores.note_store import NoteStore, has_notes
from bytecover_tf.training.batches import (
    Batches,
    CropBatches,
    StoreReader,
    WaveformReader,
    tf_dataset,
)
from bytecover_tf.training.config import Config
from bytecover_tf.training.note_batches import NoteBatches, NoteReader
from bytecover_tf.training.replicas import Replicas, join
from bytecover_tf.training.sampler import PKSampler


@dataclass(frozen=True)
class Splits:
    """Tracks by their part in the training, disjoint by work and content.

    Attributes:
        train: seen by the optimiser.
        validation: choose the best epoch.
        test: measured before and after; the validation tracks if the data has no
            others.
    """

    train: list[Track]
    validation: list[Track]
    test: list[Track]

    @classmethod
    def of(cls, tracks: Sequence[Track], store: FeatureStore) -> Splits:
        """Sort tracks by split and check that nothing leaks between them.

        Raises:
            DataError: nothing to train on or to validate with, or a work or a
                recording is in more than one split.
        """
        parts = {
            name: [track for track in tracks if track.split == name]
            for name in ("train", "validation", "test")
        }
        for name in ("train", "validation"):
            if not parts[name]:
                raise DataError(
                    f"no usable track of split {name!r} to train with; for data "
                    "without a split, --split-seed divides the works"
                )
        content = {track.path: store.entry(track.path).key for track in tracks}
        unseen = parts["validation"] + parts["test"]
        check_leakage(parts["train"], unseen, content).raise_if_any()
        check_leakage(parts["validation"], parts["test"], content).raise_if_any()
        return cls(
            parts["train"], parts["validation"], parts["test"] or parts["validation"]
        )

    @property
    def unseen(self) -> str:
        """Name of the split that `test` comes from."""
        return self.test[0].split

    @property
    def unseen_tracks(self) -> list[Track]:
        """Tracks that nothing may have been trained on."""
        return [*self.validation, *self.test]


@dataclass
class _State:
    """What a checkpoint holds beside weights and optimiser.

    Attributes:
        before: figures on unseen works before the first step.
        init: which encoder it started from, and what that was trained on; None
            for random weights.
        teacher: likewise, which encoder it learns from; None for none.
        history: one record an epoch, in order.
    """

    before: dict[str, Any]
    init: dict[str, Any] | None = None
    teacher: dict[str, Any] | None = None
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def best(self) -> float:
        return max((row["validation_map"] for row in self.history), default=-1.0)


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
) -> dict[str, Any]:
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
        teacher: an encoder with `salience`, named likewise; the new encoder learns to
            embed recordings where the teacher embeds their scores.
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
        _warn_of_copies(splits, store)
    works = sorted({track.work for track in splits.train})
    checkpoint = run_dir / "checkpoint.keras"
    batches = _batches(
        config, splits.train, works, store, seed, waveforms, teacher is not None
    )
    shares = [batches.sampler.share(number, replicas.count) for number in replicas.here]
    teaching, origin = (
        (None, None)
        if teacher is None
        else _teacher(teacher, config, splits, store, data, replicas)
    )
    keras.utils.set_random_seed(seed)
    model, state = (
        _continued(config, len(works), checkpoint, teaching, replicas)
        if resume and checkpoint.exists()
        else _new(config, len(works), splits, store, data, init, teaching, replicas)
    )
    state.teacher = origin
    done = len(state.history)
    if done < config.epochs:
        callbacks = [_TripletJoins(config.triplet_from_epoch)]
        if replicas.is_chief:
            facts = {
                "config": config.to_dict(),
                "seed": seed,
                "init": state.init,
                "teacher": state.teacher,
                "trained_on": _provenance(splits, store, data, state).to_dict(),
            }
            callbacks += [
                _Recorder(run_dir, facts, splits.validation, store, state, replicas),
                *_tensorboard(run_dir),
            ]
        callbacks.append(keras.callbacks.TerminateOnNaN())
        start = done * config.steps_per_epoch
        replicas.fit(
            model,
            lambda: _stream(batches, start, config.total_steps, shares),
            epochs=config.epochs,
            initial_epoch=done,
            steps_per_epoch=config.steps_per_epoch,
            callbacks=callbacks,
            verbose=1 if sys.stdout.isatty() else 2,
        )
        if model.stop_training:
            raise ConfigError(
                f"the loss is no longer a number after epoch {len(state.history)}; "
                "try a lower learning_rate or a warm-up"
            )
    with replicas.chief_first():
        if not replicas.is_chief:
            return {}
        return _conclude(run_dir, splits, store, state, data)


def fingerprint(
    config: Config,
    tracks: Sequence[Track],
    store: FeatureStore,
    seed: int,
    init: Path | None = None,
    checkpoint: Path | None = None,
    teacher: Path | None = None,
) -> dict[str, Any]:
    """Return what hosts that train together must have in common, by name.

    Args:
        config: all settings.
        tracks: recordings with their splits; their paths may differ.
        store: features of all tracks.
        seed: seed of the weights, batches and changes to crops.
        init: an encoder whose weights to start from.
        checkpoint: what to continue from, if it is there.
        teacher: an encoder to learn from.
    """
    recordings = sorted(
        (track.id, track.work, track.split, store.entry(track.path).key)
        for track in tracks
    )
    digest = hashlib.sha256(json.dumps(recordings).encode()).hexdigest()
    return {
        "versions": versions("bytecover_tf", "keras", "numpy"),
        "settings": config.to_dict(),
        "seed": seed,
        "data": f"{len(tracks)} recordings, {digest:.12}",
        "init": init and content_hash(encoder_file(init)),
        "teacher": teacher and content_hash(encoder_file(teacher)),
        "checkpoint": (
            content_hash(checkpoint) if checkpoint and checkpoint.exists() else None
        ),
    }


def _provenance(
    splits: Splits, store: FeatureStore, data: str, state: _State
) -> Provenance:
    """Return what the model is trained on, by itself and by what it started from."""
    earlier = [record["trained_on"] for record in (state.init, state.teacher) if record]
    return Provenance.of(data, splits.train, store).merge(
        *map(Provenance.from_dict, earlier)
    )


def _warn_of_copies(splits: Splits, store: FeatureStore) -> None:
    """Name recordings that seem to be in training and in test in two encodings.

    Similarity is no proof, so this does not stop the training.
    """
    unseen = list(dict.fromkeys([*splits.validation, *splits.test]))
    pairs = near_duplicates(
        (store.features(track.path) for track in splits.train),
        (store.features(track.path) for track in unseen),
    )
    for ours, theirs in pairs[:10]:
        print(
            f"warning: {splits.train[ours].path} (train) sounds like "
            f"{unseen[theirs].path} ({unseen[theirs].split}); a copy would make the "
            "figures too good",
            file=sys.stderr,
        )
    if len(pairs) > 10:
        print(f"warning: and {len(pairs) - 10} pairs more", file=sys.stderr)


def _continued(
    config: Config,
    num_works: int,
    checkpoint: Path,
    teacher: ByteCover | None,
    replicas: Replicas,
) -> tuple[Learner, _State]:
    """Return a checkpoint's model and state."""
    with replicas.scope():
        model, info = load_learner(checkpoint, teacher)
    if info["num_works"] != num_works:
        raise ConfigError(
            f"{checkpoint}: was trained on {info['num_works']} works, "
            f"the data has {num_works}"
        )
    # The settings may have been changed for the rest of the run.
    model.optimizer.learning_rate = _learning_rate(config)
    return model, _State(info["before"], info.get("init"), history=info["history"])


def _new(
    config: Config,
    num_works: int,
    splits: Splits,
    store: FeatureStore,
    data: str,
    init: Path | None,
    teacher: ByteCover | None,
    replicas: Replicas,
) -> tuple[Learner, _State]:
    """Return a model that has not taken a step, and its state."""
    with replicas.scope():
        network = ByteCover(config.architecture, dtype=config.precision)
        model = Learner(network, config.objective, num_works, teacher)
        model.build((None, store.frontend.n_bins, None, 1))
        model.compile(_optimizer(config), jit_compile=False)
    origin = None
    if init is not None:
        info = _take_weights(network, init, store)
        check_unseen(_encoder(network, store, info), data, splits.unseen_tracks, store)
        origin = {"path": str(init), "trained_on": info.get("trained_on")}
    if not replicas.is_chief:
        return model, _State({}, origin)
    alone = network if replicas.count == 1 else network.encoder()
    before = evaluate_tracks(_encoder(alone, store), splits.test, store).metrics
    print(f"before training, {splits.unseen} works: {describe(before)}")
    return model, _State(before, origin)


def _teacher(
    path: Path,
    config: Config,
    splits: Splits,
    store: FeatureStore,
    data: str,
    replicas: Replicas,
) -> tuple[ByteCover, dict[str, Any]]:
    """Return a teacher that fits the settings, and what to record about it."""
    file = encoder_file(path)
    with replicas.scope():
        teacher, info = load_single(file)
    Frontend.from_dict(info["frontend"]).check_same(store.frontend, str(store.path))
    check_unseen(_encoder(teacher, store, info), data, splits.unseen_tracks, store)
    if teacher.salience is None:
        raise ConfigError(f"{file}: reads no scores, as a teacher must (no salience)")
    wanted = ByteCover(config.architecture).dim
    if teacher.dim != wanted:
        raise ConfigError(
            f"{file}: embeds in {teacher.dim} values, the settings in {wanted}; to "
            f"learn from it, add --set embedding_dim={teacher.dim}"
        )
    return teacher, {"path": str(path), "trained_on": info.get("trained_on")}


def _take_weights(model: ByteCover, init: Path, store: FeatureStore) -> dict[str, Any]:
    """Copy an encoder's weights, the classifier's excepted; return its facts.

    Of an ensemble it is the member that fits.
    """
    path = encoder_file(init)
    found, info = load_model(path)
    Frontend.from_dict(info["frontend"]).check_same(store.frontend, str(store.path))
    sources = found.members if isinstance(found, Ensemble) else [found]
    source = min(
        sources, key=lambda one: len(one.architecture.differences(model.architecture))
    )
    differences = source.architecture.differences(model.architecture)
    if differences:
        raise ConfigError(
            f"{path}: its weights do not fit, the architecture is another ("
            + "; ".join(
                f"{name}: {theirs} in {path}, {ours} in the settings"
                for name, (theirs, ours) in differences.items()
            )
            + "); to train on from it, add "
            + " ".join(
                f"--set '{name}={theirs}'" for name, (theirs, _) in differences.items()
            )
        )
    model.take_weights(source)
    return info


def _encoder(
    model: ByteCover, store: FeatureStore, info: dict[str, Any] | None = None
) -> Encoder:
    return Encoder(KerasNetwork(model, store.frontend), info)


def _optimizer(config: Config) -> keras.optimizers.Optimizer:
    rate = _learning_rate(config)
    if config.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=config.weight_decay)
    return keras.optimizers.Adam(rate)


def _learning_rate(config: Config) -> keras.optimizers.schedules.CosineDecay:
    warmup = config.warmup_steps
    # A cosine that ends where it begins is a constant after its warm-up.
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else config.learning_rate,
        max(config.total_steps - warmup, 1),
        alpha=0.0 if config.decay == "cosine" else 1.0,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def _batches(
    config: Config,
    tracks: list[Track],
    works: list[str],
    store: FeatureStore,
    seed: int,
    waveforms: bool,
    taught: bool,
) -> Batches:
    number = {work: index for index, work in enumerate(works)}
    labels = np.array([number[track.work] for track in tracks])
    sampler = PKSampler(
        labels,
        config.works_per_batch,
        config.versions_per_work,
        seed,
        config.weighting,
    )
    crops: dict[str, Any] = {
        "works": labels,
        "sampler": sampler,
        "crop_frames": config.crop_frames,
        "augment": config.augment,
        "n_bins": store.frontend.n_bins,
        "seed": seed,
    }
    if taught and not has_notes(store):
        raise ConfigError(
            f"{store.path}: has no scores, which a teacher reads; expected a set that "
            "bytecover_tf.synth.draw has drawn"
        )
    if (config.salience is not None or taught) and has_notes(store):
        return NoteBatches(
            NoteReader(store, NoteStore(store), tracks),
            score_share=config.score_share,
            easy_steps=config.easy_steps,
            **crops,
        )
    if waveforms:
        return CropBatches(WaveformReader(store.frontend, tracks), **crops)
    return CropBatches(StoreReader(store, tracks), **crops)


def _tensorboard(run_dir: Path) -> list[keras.callbacks.Callback]:
    # TensorFlow writes the logs; a machine that trains on JAX may not have it.
    if find_spec("tensorflow") is None:
        return []
    return [keras.callbacks.TensorBoard(str(run_dir / "tensorboard"))]


def _stream(batches: Batches, start: int, stop: int, shares: Sequence[slice]) -> Any:
    """Return what the replicas of this process train on, in turns."""
    if keras.backend.backend() == "tensorflow":
        return tf_dataset(batches, start, stop - start, shares)

    def generate() -> Iterator[tuple[Any, np.ndarray]]:
        for number in range(start, stop):
            yield batches(number)

    return generate()


class _TripletJoins(keras.callbacks.Callback):
    """Lets the triplet loss take part from some epoch on."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.model.triplet_weight is not None:
            self.model.triplet_weight.assign(float(epoch >= self._epoch))


class _Recorder(keras.callbacks.Callback):
    """After each epoch: validates, keeps the best model, writes a checkpoint."""

    def __init__(
        self,
        run_dir: Path,
        facts: dict[str, Any],
        validation: list[Track],
        store: FeatureStore,
        state: _State,
        replicas: Replicas,
    ) -> None:
        super().__init__()
        self._replicas = replicas
        self._copy: ByteCover | None = None
        self._run_dir = run_dir
        self._facts = facts
        self._validation = validation
        self._store = store
        self._state = state
        self._began = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began = time.monotonic()

    def _alone(self) -> ByteCover:
        """Return a model that this host can run without the others."""
        if self._replicas.count == 1:
            return self.model.network
        self._copy = self.model.network.encoder(self._copy)
        return self._copy

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        if not np.isfinite(logs.get("loss", 0.0)):
            self.model.stop_training = True
            return
        frontend = self._store.frontend
        encoder = _encoder(self._alone(), self._store)
        figures = evaluate_tracks(encoder, self._validation, self._store).metrics
        # TensorBoard's callback, which comes next, writes what is in the logs.
        logs["validation_map"] = figures["map"]
        logs["validation_mr1"] = figures["mr1"]
        is_best = figures["map"] > self._state.best
        row = {name: round(float(value), 6) for name, value in sorted(logs.items())}
        seconds = round(time.monotonic() - self._began, 1)
        self._state.history.append({"epoch": epoch + 1, **row, "seconds": seconds})
        if is_best:
            save_model(
                self.model.network.encoder(),
                self._run_dir / "encoder.keras",
                frontend,
                {**self._facts, "epoch": epoch + 1, "validation": figures},
            )
        save_model(
            self.model,
            self._run_dir / "checkpoint.keras",
            frontend,
            {
                **self._facts,
                "num_works": self.model.num_works,
                "before": self._state.before,
                "history": self._state.history,
            },
        )
        write_atomically(self._run_dir / "log.csv", _csv(self._state.history))
        print(
            f" - validation works: {describe(figures)}{', the best' if is_best else ''}"
        )


def _csv(rows: list[dict[str, float]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _conclude(
    run_dir: Path,
    splits: Splits,
    store: FeatureStore,
    state: _State,
    data: str,
) -> dict[str, Any]:
    """Measure the best epoch's encoder on unseen works and write the figures."""
    encoder = load_encoder(run_dir)
    after = evaluate_tracks(encoder, splits.test, store).metrics
    figures = {
        **after,
        "split": splits.unseen,
        "data": data,
        "best_epoch": encoder.info["epoch"],
        "epochs": len(state.history),
        "seed": encoder.info["seed"],
        "seconds": round(sum(row["seconds"] for row in state.history), 1),
        "versions": encoder.info["versions"],
        "frontend": encoder.frontend.to_dict(),
        "before": state.before,
    }
    write_atomically(run_dir / "metrics.json", json.dumps(figures, indent=1) + "\n")
    print(f"before training, {splits.unseen} works: {describe(state.before)}")
    print(f"after training,  {splits.unseen} works: {describe(after)}")
    return figures
