"""Networks of other systems, as ONNX files with a description beside them.

`system.onnx` is described by `system.json`, an object with

    frontend    parameters of the features, as of `Frontend`; those left out have the
                paper's values
    input       `features`, the default, or `waveform`
    axes        what the axes of the input are, in order, from `batch`, `channel`,
                `bins`, `frames` and `samples`; by default (batch, channel, bins,
                frames) for features of rank 4, (batch, bins, frames) of rank 3, and
                (batch, samples) for a waveform
    output      name of the output that is the embedding; the first by default

Embeddings are compared by their cosine, so the network need not scale them. Batches may
be of any number of recordings, or of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.runtimes import onnx_session
from bytecover_tf.errors import ConfigError, EncoderError
from bytecover_tf.files import JsonObject, json_object

_KEYS = {"frontend", "input", "axes", "output"}
_AXES = {
    ("features", 4): ["batch", "channel", "bins", "frames"],
    ("features", 3): ["batch", "bins", "frames"],
    ("waveform", 2): ["batch", "samples"],
}
_HAVE = {
    "features": ["batch", "bins", "frames", "channel"],
    "waveform": ["batch", "samples", "channel"],
}
# Frames that show the size of an embedding: 186 s at 20 frames of the transform, as
# networks that halve the time again and again need some; and as long, of samples.
_FRAMES, _SECONDS = 400, 186


def description_of(path: Path) -> Path | None:
    """Return the description beside an ONNX file; None if there is none."""
    beside = path.with_suffix(".json")
    return beside if beside.is_file() else None


class ForeignOnnxNetwork:
    """A network of another system in ONNX Runtime.

    Args:
        path: the ONNX file.
        description: the JSON file that describes it.
        providers: as of `OnnxNetwork`.
        threads: as of `OnnxNetwork`.

    Attributes:
        source: what the network reads, `features` or `waveform`.

    Raises:
        EncoderError: the file cannot be loaded, or does not fit its description.
    """

    def __init__(
        self,
        path: Path,
        description: Path,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        self._session = onnx_session(path, providers, threads)
        facts = json_object(_text(description), description, EncoderError)
        if unknown := sorted(facts.keys() - _KEYS):
            raise EncoderError(
                f"{description}: expected {', '.join(sorted(_KEYS))}, found "
                + ", ".join(unknown)
            )
        try:
            self.frontend = Frontend.from_dict(facts.get("frontend", {}))
        except (ConfigError, TypeError) as error:
            raise EncoderError(f"{description}: frontend: {error}") from None
        self.source = facts.get("input", "features")
        if not isinstance(self.source, str) or self.source not in _HAVE:
            raise EncoderError(
                f"{description}: expected input to be features or waveform, found "
                f"{self.source!r}"
            )
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise EncoderError(
                f"{path}: expected one input, found "
                + ", ".join(item.name for item in inputs)
            )
        self._input = inputs[0].name
        self._axes = self._read_axes(facts, len(inputs[0].shape), description)
        batch = inputs[0].shape[self._axes.index("batch")]
        self._takes_one = batch == 1
        if isinstance(batch, int) and batch != 1:
            raise EncoderError(
                f"{path}: expected batches of any number of recordings, or of 1, found "
                f"{batch}"
            )
        self._output = self._read_output(facts, description)
        self.dim = self._measure_dim(path)

    def _read_axes(self, facts: JsonObject, rank: int, description: Path) -> list[str]:
        axes = facts.get("axes", _AXES.get((self.source, rank)))
        have = _HAVE[self.source]
        needed = have[:-1]
        if (
            not isinstance(axes, list)
            or not all(isinstance(axis, str) for axis in axes)
            or len(axes) != rank
            or sorted(axes) not in (sorted(needed), sorted(have))
        ):
            raise EncoderError(
                f"{description}: expected axes for an input of rank {rank}: "
                f"{', '.join(needed)} and perhaps channel, in their order, found {axes}"
            )
        return axes

    def _read_output(self, facts: JsonObject, description: Path) -> str:
        names = [item.name for item in self._session.get_outputs()]
        name = facts.get("output", names[0])
        if name not in names:
            raise EncoderError(
                f"{description}: expected output to be one of {', '.join(names)}, "
                f"found {name!r}"
            )
        return name

    def _measure_dim(self, path: Path) -> int:
        """Return the size of an embedding, by one of a made-up recording."""
        frames = np.linspace(0, 1, self.frontend.n_bins * _FRAMES, dtype=np.float32)
        samples = max(_SECONDS * self.frontend.sample_rate, self.frontend.min_samples)
        probe = (
            frames.reshape(1, self.frontend.n_bins, _FRAMES, 1)
            if self.source == "features"
            else np.linspace(-1, 1, samples, dtype=np.float32)[None]
        )
        try:
            found = self(probe)
        except Exception as error:  # the runtime's classes share no root of their own
            raise EncoderError(
                f"{path}: does not run on an input as described ({error})"
            ) from None
        if found.ndim != 2 or len(found) != 1:
            raise EncoderError(
                f"{path}: expected an embedding of shape (batch, dim), found one of "
                f"{found.shape}"
            )
        return int(found.shape[1])

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return embeddings (batch, dim) of features (batch, n_bins, frames, 1)."""
        have = _HAVE[self.source]
        values = features if self.source == "features" else features[..., None]
        if "channel" not in self._axes:
            values = values[..., 0]
        values = values.transpose([have.index(axis) for axis in self._axes])
        values = np.ascontiguousarray(values, np.float32)
        batches = [values]
        if self._takes_one:
            batches = np.split(values, len(features), self._axes.index("batch"))
        return np.concatenate(
            [
                self._session.run([self._output], {self._input: one})[0]
                for one in batches
            ]
        )


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EncoderError(f"{path}: cannot be read ({error.strerror})") from error
