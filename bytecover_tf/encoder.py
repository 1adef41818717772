"""One interface to trained encoders, wherever they come from."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bytecover_tf.errors import AudioError, EncoderError
from bytecover_tf.frontend import Frontend

# Most frames in one batch, which bounds memory: 32 tracks of four minutes.
_BATCH_FRAMES = 32 * 104


class Network(Protocol):
    """What an encoder needs of a trained network."""

    frontend: Frontend
    dim: int

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return f_c (batch, dim) of features (batch, n_bins, frames, 1)."""


class Encoder:
    """Turns recordings into embeddings.

    Every method returns float32 `(N, dim)`: f_c at unit norm, so that a dot
    product is the cosine similarity. A recording that cannot be embedded gets a
    row of NaN and an entry in `errors`; the others are not affected.

    Args:
        network: maps features to f_c.
        info: what is known about how the network was made.

    Attributes:
        frontend: parameters of the features.
        dim: size of an embedding.
        info: what is known about how the network was made.
        errors: of the last call, the reason by position in its input.
    """

    def __init__(self, network: Network, info: dict[str, Any] | None = None) -> None:
        self._network = network
        self.frontend = network.frontend
        self.dim = network.dim
        self.info = info or {}
        self.errors: dict[int, str] = {}

    def embed_audio(self, paths: Iterable[str | Path]) -> np.ndarray:
        """Embed audio files.

        Args:
            paths: of files that `load_audio` reads.
        """
        return self._embed(list(paths), lambda _, path: self.frontend.extract(path))

    def embed_waveforms(self, waveforms: Iterable[np.ndarray]) -> np.ndarray:
        """Embed samples.

        Args:
            waveforms: 1-D float arrays at the frontend's sample rate.
        """
        return self._embed(
            list(waveforms),
            lambda index, samples: self.frontend.features(samples, f"waveform {index}"),
        )

    def embed_features(self, features: Iterable[np.ndarray]) -> np.ndarray:
        """Embed pooled features.

        Args:
            features: arrays (n_bins, T), any T from 1, as `Frontend.features`
                returns them.
        """
        return self._embed(
            list(features),
            # Pooled already; normalising what is normalised changes nothing.
            lambda index, array: self.frontend.from_cqt(
                array, self.frontend.pool, f"features {index}"
            ),
        )

    def _embed(self, inputs: Sequence[Any], prepare: Any) -> np.ndarray:
        self.errors = {}

        def attempt(item: tuple[int, Any]) -> np.ndarray | str:
            try:
                return prepare(*item)
            except AudioError as error:
                return str(error)
            except Exception as error:  # one bad input must not stop a batch
                return f"{item[1]!s:.200}: {type(error).__name__}: {error}"

        by_length: dict[int, list[tuple[int, np.ndarray]]] = defaultdict(list)
        # Decoding and the transform's FFTs run outside Python's lock.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for index, result in enumerate(pool.map(attempt, enumerate(inputs))):
                if isinstance(result, str):
                    self.errors[index] = result
                else:
                    by_length[result.shape[1]].append((index, result))
        embeddings = np.full((len(inputs), self.dim), np.nan, np.float32)
        # Only equal lengths share a batch: padding would change the statistics of
        # instance normalisation, and with them the embedding.
        for length, group in by_length.items():
            size = max(_BATCH_FRAMES // length, 1)
            for start in range(0, len(group), size):
                indices, arrays = zip(*group[start : start + size], strict=True)
                f_c = self._network(np.stack(arrays)[..., None])
                embeddings[list(indices)] = _unit_norm(f_c)
        return embeddings


def _unit_norm(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, np.finfo(np.float32).tiny)


class KerasNetwork:
    """A ByteCover model in memory.

    Args:
        model: the trained model.
        frontend: parameters of its features.
    """

    def __init__(self, model: Any, frontend: Frontend) -> None:
        self._model = model
        self.frontend = frontend
        self.dim = model.dim

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return f_c (batch, dim) of features (batch, n_bins, frames, 1)."""
        return self._model.predict_on_batch(features)["f_c"]


def load_encoder(path: str | Path) -> Encoder:
    """Return the encoder of a training run or of a `.keras` file.

    Args:
        path: a run directory of `bytecover_tf.train`, or the `encoder.keras` in it.

    Raises:
        EncoderError: there is no encoder, or it cannot be read.
    """
    from bytecover_tf.artifact import load_model

    path = Path(path)
    if path.is_dir():
        if not (path / "encoder.keras").exists():
            raise EncoderError(
                f"{path}: no run directory of an encoder (encoder.keras is missing)"
            )
        path = path / "encoder.keras"
    model, info = load_model(path)
    frontend = Frontend.from_dict(info["frontend"])
    return Encoder(KerasNetwork(model, frontend), info)
