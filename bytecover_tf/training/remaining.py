"""Says how far a training is and how long the rest of it takes."""

from __future__ import annotations

import time
from typing import Any

import keras

from bytecover_tf.progress import progress_bar
from bytecover_tf.terminal import show


class Remaining(keras.callbacks.Callback):
    """A bar over all steps on a terminal, and a line after each epoch.

    Args:
        done: epochs that an earlier process has trained.
        epochs: number of the last epoch.
        steps_per_epoch: steps in each.
    """

    def __init__(self, done: int, epochs: int, steps_per_epoch: int) -> None:
        super().__init__()
        self._done, self._epochs, self._steps = done, epochs, steps_per_epoch
        self._began = time.monotonic()
        self._bar: Any = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Start the clock and the bar."""
        self._began = time.monotonic()
        self._bar = progress_bar(
            total=self._epochs * self._steps,
            initial=self._done * self._steps,
            unit="step",
            desc="training",
        )

    def on_train_batch_end(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Move the bar on."""
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Print how many epochs are done and how long the others take."""
        each = (time.monotonic() - self._began) / (epoch + 1 - self._done)
        left = describe_seconds(each * (self._epochs - epoch - 1))
        loss = (logs or {}).get("loss", float("nan"))
        self._bar.clear()
        show(f"epoch {epoch + 1} of {self._epochs}: loss {loss:.2f}, {left} left")

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Remove the bar."""
        self._bar.close()


def describe_seconds(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours, whatever is easiest to read."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
