"""One training of the network that hears notes: resumable, with its record.

A run's folder holds `run.json`, the request, and `backup.keras`, the network and the
optimiser's state after the last hundred steps, to continue from. At the end
`hearing.keras` takes the place of the backup.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

import keras
import numpy as np

from bytecover_tf.encoders.model_file import load_hearing_model, save_model
from bytecover_tf.errors import ConfigError, DataError, EncoderError
from bytecover_tf.files import write_atomically
from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.note_network import KERNELS, NoteNetwork
from bytecover_tf.stores.labelled_store import (
    FRONTENDS,
    LabelledFeatures,
    LabelledStore,
)
from bytecover_tf.training.note_crops import (
    Augmentation,
    EpochClock,
    NoteCrops,
    middles,
)
from bytecover_tf.training.note_table import FRAMES, NoteTable

FILE_NAME = "hearing.keras"
_BACKUP = "backup.keras"
_STEPS_PER_EPOCH = 100


@dataclass(frozen=True)
class HearingRequest:
    """What to train.

    Attributes:
        stores: folders of labelled recordings.
        steps: of training, in hundreds.
        batch: crops in a step.
        learning_rate: its peak; it rises over a hundred steps and falls as a cosine.
        filters: of `NoteNetwork`.
        kernels: of `NoteNetwork`.
        seed: of weights and crops.

    Raises:
        ConfigError: a number is out of range.
    """

    stores: tuple[str, ...]
    steps: int = 2600
    batch: int = 12
    learning_rate: float = 2e-3
    filters: int = 24
    kernels: tuple[tuple[int, int], ...] = KERNELS
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 2 * _STEPS_PER_EPOCH or self.steps % _STEPS_PER_EPOCH:
            raise ConfigError(
                f"steps must be a multiple of {_STEPS_PER_EPOCH} from "
                f"{2 * _STEPS_PER_EPOCH} on, not {self.steps}"
            )
        if self.batch < 1 or not self.learning_rate > 0:
            raise ConfigError(
                "batch must be at least 1 and learning_rate positive, not "
                f"{self.batch} and {self.learning_rate}"
            )


def train_hearing(
    request: HearingRequest,
    run_dir: Path,
    report: Callable[[str], object] = print,
) -> Path:
    """Train a network that hears notes.

    After a kill at any moment, the same call continues from the last hundred steps. A
    finished run is not trained again.

    Args:
        request: what to train.
        run_dir: of this run; made if there is none.
        report: called with a line for each hundred steps.

    Returns:
        The network's file in `run_dir`. It records what it was trained on and how
        well it hears the recordings that were held out.

    Raises:
        ConfigError: the folder has a run of another request or of other recordings, or
            the loss is no longer a number.
        DataError: there is too little to train on.
        EncoderError: what the run should continue from is damaged.
        StoreError: a store is missing or damaged.
    """
    noted = run_dir / "run.json"
    if noted.exists():
        _check_same(noted, request)
    path = run_dir / FILE_NAME
    if path.exists():
        return path
    found = _read(request.stores)
    run_dir.mkdir(parents=True, exist_ok=True)
    write_atomically(noted, _as_text(request) + "\n")
    backup = run_dir / _BACKUP
    network, done = (
        _continued(backup, found.digest) if backup.exists() else (_new(request), 0)
    )
    model = _TrainedOnTable(network, NoteTable([*found.training, *found.held_out]))
    model.compile(network.optimizer)
    places = model.table.places
    augmentation = Augmentation()
    crops = NoteCrops(
        places[: len(found.training)],
        request.batch,
        _STEPS_PER_EPOCH,
        request.seed,
        augmentation,
    )
    inputs, targets = middles(places[len(found.training) :])
    callbacks = [
        EpochClock(crops),
        _Backup(network, backup, found.digest),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: report(_line(epoch, request, logs))
        ),
    ]
    model.fit(
        crops,
        initial_epoch=done,
        epochs=request.steps // _STEPS_PER_EPOCH,
        # Keras would shuffle batches by a random state that no backup keeps.
        shuffle=False,
        validation_data=(inputs, targets),
        validation_batch_size=request.batch,
        callbacks=callbacks,
        verbose=0,
    )
    measured = model.evaluate(
        inputs, targets, batch_size=request.batch, verbose=0, return_dict=True
    )
    measured.update(_agreement(model.predict(inputs, request.batch, verbose=0)))
    info = {
        "request": asdict(request),
        "augmentation": asdict(augmentation),
        "sets": found.sets,
        "held_out": measured,
    }
    save_model(network, path, FRONTENDS["cqt36"], info)
    backup.unlink(missing_ok=True)
    return path


class _TrainedOnTable(keras.Model):
    """A network and the table that its crops come from.

    Cropping is part of the model, so Keras compiles it with the network, and data
    stays on the device on every backend.
    """

    def __init__(self, network: NoteNetwork, table: NoteTable) -> None:
        super().__init__(name="hearing")
        self.network, self.table = network, table

    def call(self, crops: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """Return the logits of what is heard in crops, and their labels."""
        cut = self.table(crops)
        logits = self.network(cut["magnitudes"], training=training)
        return {"logits": logits, "heard": cut["heard"]}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The network's metrics."""
        return self.network.metrics

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Return the network's loss."""
        return self.network.compute_loss(
            y={**y, "heard": y_pred["heard"]}, y_pred=y_pred["logits"]
        )


class _Backup(keras.callbacks.Callback):
    """Keeps the network as it is after each epoch whose losses are numbers."""

    def __init__(self, network: NoteNetwork, path: Path, digest: str) -> None:
        super().__init__()
        self._network, self._path, self._digest = network, path, digest

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if not all(map(isfinite, (logs or {}).values())):
            raise ConfigError(
                "the loss is no longer a number after step "
                f"{(epoch + 1) * _STEPS_PER_EPOCH}; try a lower learning_rate"
            )
        info = {"epoch": epoch + 1, "recordings": self._digest}
        save_model(self._network, self._path, FRONTENDS["cqt36"], info)


def _new(request: HearingRequest) -> NoteNetwork:
    keras.utils.set_random_seed(request.seed)
    model = NoteNetwork(request.filters, request.kernels)
    model.build((None, FRONTENDS["cqt36"].n_bins, FRAMES, 1))
    model.compile(keras.optimizers.Adam(_schedule(request)))
    # If the first step made its variables, TensorFlow would trace that step twice.
    model.optimizer.build(model.trainable_variables)
    return model


def _continued(backup: Path, digest: str) -> tuple[NoteNetwork, int]:
    """Return the model of a backup, and how many epochs it was trained.

    Raises:
        EncoderError: the backup is damaged.
        ConfigError: it was trained on recordings of another digest.
    """
    try:
        model, info = load_hearing_model(backup, training=True)
    except EncoderError as error:
        raise EncoderError(f"{error}; remove it to begin the run anew") from None
    if info.get("recordings") != digest:
        raise ConfigError(
            f"{backup}: was trained on other recordings than the stores have now; "
            "name another --run-dir"
        )
    return model, info["epoch"]


def _as_text(request: HearingRequest) -> str:
    return json.dumps(asdict(request), indent=1)


def _check_same(noted: Path, request: HearingRequest) -> None:
    """Refuse to go on with the run of another request."""
    if noted.read_text().strip() != _as_text(request):
        raise ConfigError(
            f"{noted}: holds a run with other settings; name another --run-dir"
        )


@dataclass(frozen=True)
class _Found:
    """What stores have to train on.

    Attributes:
        training: recordings to train on.
        held_out: recordings to measure on.
        sets: how much there is of each set.
        digest: changes with the recordings.
    """

    training: list[LabelledFeatures]
    held_out: list[LabelledFeatures]
    sets: dict[str, dict[str, float]]
    digest: str


def _read(stores: Sequence[str]) -> _Found:
    """Read the recordings to train on, in an order that their ids alone decide."""
    digest = hashlib.sha256()
    training: list[LabelledFeatures] = []
    held_out: list[LabelledFeatures] = []
    recordings: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    for folder in stores:
        store = LabelledStore(folder)
        for one in sorted(store, key=lambda recording: recording.id):
            if one.role != "train":
                continue
            features = store.features(one)
            if features.cqt36.shape[1] < FRAMES:
                continue
            digest.update(f"{one.id} {features.cqt36.shape[1]}\n".encode())
            # Melodies are too rare to hold any out.
            is_held_out = one.is_spared and features.melody is None
            (held_out if is_held_out else training).append(features)
            recordings[one.set] += 1
            seconds[one.set] += one.seconds
    if not training or not held_out:
        raise DataError(
            f"{', '.join(stores)}: {len(training)} recordings of 15 s or more to train "
            f"on and {len(held_out)} to hold out; expected some of both"
        )
    sets = {
        name: {"recordings": count, "hours": round(seconds[name] / 3600, 2)}
        for name, count in sorted(recordings.items())
    }
    return _Found(training, held_out, sets, digest.hexdigest())


def _schedule(
    request: HearingRequest,
) -> keras.optimizers.schedules.LearningRateSchedule:
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        request.steps - _STEPS_PER_EPOCH,
        alpha=0.01,
        warmup_target=request.learning_rate,
        warmup_steps=_STEPS_PER_EPOCH,
    )


def _line(epoch: int, request: HearingRequest, logs: dict[str, float] | None) -> str:
    logs = logs or {}
    names = ("notes", "onsets", "melody", "val_notes", "val_onsets")
    losses = ", ".join(f"{name} {logs[name]:.4f}" for name in names if name in logs)
    done = (epoch + 1) * _STEPS_PER_EPOCH
    return f"step {done} of {request.steps}: {losses}"


def _agreement(predicted: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the correlation of what is heard with the labels."""
    found = 1 / (1 + np.exp(-predicted["logits"]))
    return {
        f"{name}_correlation": float(
            np.corrcoef(
                found[..., channel].ravel(), predicted["heard"][..., channel].ravel()
            )[0, 1]
        )
        for channel, name in enumerate(("notes", "onsets"))
    }
