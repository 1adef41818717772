"""Records a training after each epoch, and the state that a checkpoint keeps."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Encoder, KerasNetwork
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.evaluation.protocol import Figures, describe
from bytecover_tf.files import JsonObject, write_atomically
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.terminal import show
from bytecover_tf.training.measuring import measure
from bytecover_tf.training.replicas import Replicas


@dataclass
class State:
    """The part of a checkpoint besides weights and optimiser.

    Attributes:
        before: figures on unseen works before the first step; None in a process that
            does not measure.
        init: which encoder it started from, and what that was trained on; None
            for random weights.
        teacher: likewise, which encoder it learns from; None for none.
        history: one record an epoch, in order.
        trained_on: what a checkpoint says that it was trained on.
        measured_on: digests of the recordings that it was measured on at first, by
            split; empty if an older version began the run.
    """

    before: Figures | None
    init: JsonObject | None = None
    teacher: JsonObject | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    trained_on: JsonObject | None = None
    measured_on: dict[str, str] = field(default_factory=dict)

    @property
    def best(self) -> float:
        """Highest MAP on the validation works so far."""
        return max((row["validation_map"] for row in self.history), default=-1.0)


class Recorder(keras.callbacks.Callback):
    """After each epoch: validates, keeps the best model, writes a checkpoint.

    Args:
        run_dir: where to write.
        facts: what is recorded with every model.
        validation: tracks that choose the best epoch.
        store: their features.
        state: updated after each epoch.
        replicas: the replicas that train.
    """

    def __init__(
        self,
        run_dir: Path,
        facts: JsonObject,
        validation: list[Track],
        store: FeatureStore,
        state: State,
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
        self._began, self._used = time.monotonic(), time.process_time()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clocks."""
        self._began, self._used = time.monotonic(), time.process_time()

    def _alone(self) -> ByteCover:
        """Return a model that this host can run without the others."""
        if self._replicas.count == 1:
            return self.model.network
        self._copy = self.model.network.encoder(self._copy)
        return self._copy

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Validate and write."""
        logs = {} if logs is None else logs
        if not np.isfinite(logs.get("loss", 0.0)):
            self.model.stop_training = True
            return
        frontend = self._store.frontend
        encoder = Encoder(KerasNetwork(self._alone(), frontend))
        figures = measure(encoder, self._validation, self._store).metrics
        # TensorBoard's callback, which comes next, writes what is in the logs.
        logs["validation_map"] = figures["map"]
        logs["validation_mr1"] = figures["mr1"]
        # Of epochs that find as much, the last one, which has learned longest.
        row = {name: round(float(value), 6) for name, value in sorted(logs.items())}
        is_best = row["validation_map"] >= self._state.best
        row["seconds"] = round(time.monotonic() - self._began, 1)
        row["cpu_seconds"] = round(time.process_time() - self._used, 1)
        self._state.history.append({"epoch": epoch + 1, **row})
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
                "measured_on": self._state.measured_on,
            },
        )
        write_log(self._run_dir, self._state)
        show(f"validation works: {describe(figures)}{', the best' if is_best else ''}")


def write_log(run_dir: Path, state: State) -> None:
    """Write `log.csv`, a line for each epoch."""
    write_atomically(run_dir / "log.csv", _csv(state.history))


def _csv(rows: list[dict[str, float]]) -> str:
    text = io.StringIO(newline="")
    # Runs that older versions began lack a column.
    writer = csv.DictWriter(text, rows[-1].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
