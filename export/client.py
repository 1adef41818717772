"""The encoder on a TensorFlow Serving server, used like one in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from bytecover_tf.audio.decoding import check_waveform, load_audio
from bytecover_tf.audio.frontend import LONGEST_WORK, Frontend
from bytecover_tf.encoders.encoder import (
    PART,
    Embedded,
    Encoder,
    mean_direction,
    parts_of,
)
from bytecover_tf.encoders.runtimes import MANIFEST
from bytecover_tf.errors import ConfigError, EncoderError, FrontendMismatch, explain
from bytecover_tf.files import JsonObject, json_object
from export import protos
from export.serving import MAX_BATCH
from export.transport import LONGEST_TIMEOUT, ServedModel, without_login

# Below this cosine two embeddings of the test signal come from different features.
_SAME = 0.9999


class _Signature(NamedTuple):
    name: str
    input: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.input}: DT_FLOAT {self.shape} -> embedding: DT_FLOAT (-1, dim)"


class ServingClient(Encoder):
    """An encoder whose network runs on a TensorFlow Serving server.

    Recordings are decoded and checked here, so bad ones are reported as `Encoder`
    does and never sent. Whatever goes wrong with the server ends the call with an
    EncoderError.

    Args:
        address: `grpc://HOST:8500`, `http://HOST:8501` or `https://HOST:PORT`.
        frontend: the served encoder's, or the path of its bundle or manifest.
        model: name of the model on the server.
        send: `features` computes them here, 600 times smaller than the waveform;
            `waveform` leaves the transform to the server, and sends one recording at a
            time because each has its own length.
        timeout: seconds that a request may take, retries included; a million at most.
        retries: how often a request is repeated, after a pause that doubles, when
            the server is unavailable. Nothing else is repeated.
        max_batch: most recordings in one request; the server refuses more than the
            `max_batch_size` of its batching parameters.
        authorization: sent with each request as HTTP's header of that name, `Bearer
            TOKEN` for example; by default what the environment has as
            `BYTECOVER_SERVING_AUTHORIZATION`. Messages never show it.

    Raises:
        ConfigError: an argument is out of range.
        EncoderError: the server cannot be reached, does not have the model, or the
            model's signature is another one.
        FrontendMismatch: the model takes another number of frequency bins.
    """

    def __init__(
        self,
        address: str,
        frontend: Frontend | str | Path,
        model: str = "bytecover",
        *,
        send: Literal["features", "waveform"] = "features",
        timeout: float = 30,
        retries: int = 4,
        max_batch: int = MAX_BATCH,
        authorization: str | None = None,
    ) -> None:
        if send not in ("features", "waveform"):
            raise ConfigError(f"send must be 'features' or 'waveform', not {send!r}")
        if not 0 < timeout <= LONGEST_TIMEOUT or retries < 0 or max_batch < 1:
            raise ConfigError(
                f"timeout must be above 0 and at most {LONGEST_TIMEOUT:g} s, retries 0 "
                f"or more and max_batch 1 or more, not {timeout}, {retries} and "
                f"{max_batch}"
            )
        if not isinstance(frontend, Frontend):
            frontend = _read_frontend(Path(frontend))
        self._send = send
        server = ServedModel(address, model, timeout, retries, authorization)
        self._served = _ServedNetwork(server, frontend, send, max_batch)
        super().__init__(
            self._served, {"address": without_login(address), "model": model}
        )

    def try_audio(self, paths: Iterable[str | Path]) -> Embedded:
        """Embed audio files.

        Args:
            paths: files that `load_audio` reads.

        Raises:
            EncoderError: the server failed.
        """
        if self._send == "features":
            return super().try_audio(paths)
        return self._embed_remotely(paths, self._read_audio)

    def try_waveforms(self, waveforms: Iterable[np.ndarray]) -> Embedded:
        """Embed samples.

        Args:
            waveforms: 1-D float arrays at the frontend's sample rate.

        Raises:
            EncoderError: the server failed.
        """
        if self._send == "features":
            return super().try_waveforms(waveforms)
        return self._embed_remotely(waveforms, self._read_samples)

    def check_frontend(self) -> None:
        """Compare the features computed here with the server's.

        Features made with another hop or pooling have the right shape and give
        wrong embeddings without an error. A sweep over all bins is embedded both
        from the features computed here and by the server from its waveform.

        Raises:
            FrontendMismatch: the two embeddings differ.
            EncoderError: the server failed, or offers only one of the signatures.
        """
        samples = _sweep(self.frontend)
        features = self.frontend.features(samples, "test signal")
        here = self._served(features[None, ..., None])[0]
        there = self._served.embed_waveform(samples)
        cosine = float(here @ there / np.linalg.norm(here) / np.linalg.norm(there))
        if cosine < _SAME:
            raise FrontendMismatch(
                f"{self._served.where}: the features computed here give a test "
                "signal another embedding than its waveform gives (cosine "
                f"{cosine:.3f}); the served encoder has another frontend than "
                "this client"
            )

    def _read_audio(self, index: int, path: str | Path) -> np.ndarray:
        samples = load_audio(path, self.frontend.sample_rate)
        self.frontend.check_length(len(samples), str(path))
        return samples

    def _read_samples(self, index: int, samples: np.ndarray) -> np.ndarray:
        samples = np.asarray(samples)
        check_waveform(samples, f"waveform {index}")
        self.frontend.check_length(len(samples), f"waveform {index}")
        return samples

    def _embed_remotely(
        self, inputs: Iterable[Any], read: Callable[[int, Any], np.ndarray]
    ) -> Embedded:
        errors: dict[int, str] = {}
        rows = []
        for index, item in enumerate(inputs):
            try:
                samples = read(index, item)
            except Exception as error:  # one bad input must not stop the others
                errors[index] = explain(error, f"{item!s:.200}")
            rows.append(
                np.full(self.dim, np.nan, np.float32)
                if index in errors
                else self._embed_samples(samples)
            )
        return Embedded(np.array(rows, np.float32).reshape(-1, self.dim), errors)

    def _embed_samples(self, samples: np.ndarray) -> np.ndarray:
        """Return an embedding (dim,), of a long recording as `Encoder` makes it."""
        rate = self.frontend.sample_rate
        if len(samples) <= round(LONGEST_WORK * rate):
            return self._served.embed_waveform(samples)
        parts = parts_of(samples, round(PART * rate))
        vectors = np.stack([self._served.embed_waveform(part) for part in parts])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return mean_direction(vectors)


class _ServedNetwork:
    """What `Encoder` needs of a network, on a server.

    Args:
        server: the model.
        frontend: parameters of its features.
        send: which signature must exist.
        max_batch: most rows in one request.
    """

    def __init__(
        self, server: ServedModel, frontend: Frontend, send: str, max_batch: int
    ) -> None:
        self.frontend = frontend
        self.where = server.where
        self._server = server
        self._max_batch = max_batch
        self._features = _Signature("features", "features", (-1, frontend.n_bins, -1))
        self._waveform = _Signature("serving_default", "waveform", (-1, -1))
        self.dim = self._check(
            self._features if send == "features" else self._waveform,
            server.signatures(),
        )

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return f_c (batch, dim) of features (batch, n_bins, frames, 1)."""
        features = features[..., 0]
        parts = range(0, len(features), self._max_batch)
        return np.concatenate(
            [
                self._run(self._features, features[i : i + self._max_batch])
                for i in parts
            ]
        )

    def embed_waveform(self, samples: np.ndarray) -> np.ndarray:
        """Return f_c (dim,) of samples (n,)."""
        return self._run(self._waveform, samples[None].astype(np.float32))[0]

    def _run(self, signature: _Signature, batch: np.ndarray) -> np.ndarray:
        result = self._server.predict(
            signature.name, signature.input, batch, "embedding"
        )
        if result.shape != (len(batch), self.dim) or not np.isfinite(result).all():
            raise EncoderError(
                f"{self.where}: expected ({len(batch)}, {self.dim}) finite numbers "
                f"from signature {signature.name!r}, found {result.shape}"
                + ("" if np.isfinite(result).all() else " with NaN or infinity")
            )
        if not np.linalg.norm(result, axis=1).all():
            raise EncoderError(
                f"{self.where}: signature {signature.name!r} gave an embedding of zeros"
            )
        return result

    def _check(self, wanted: _Signature, found: JsonObject) -> int:
        """Return the embedding's size if the server has the signature."""
        if wanted.name not in found:
            raise EncoderError(
                f"{self.where}: no signature {wanted.name!r}; found {sorted(found)}"
            )
        inputs = _tensors(found[wanted.name].inputs)
        outputs = _tensors(found[wanted.name].outputs)
        kind, shape = inputs.get(wanted.input, ("", ()))
        out_kind, out_shape = outputs.get("embedding", ("", ()))
        if (
            len(inputs) != 1
            or {kind, out_kind} != {"DT_FLOAT"}
            or len(shape) != len(wanted.shape)
            or len(out_shape) != 2
            or out_shape[1] < 1
        ):
            raise EncoderError(
                f"{self.where}: signature {wanted.name!r} is "
                f"{_describe(inputs)} -> {_describe(outputs)}, expected {wanted}"
            )
        for size, expected in zip(shape, wanted.shape, strict=True):
            if -1 not in (size, expected) and size != expected:
                raise FrontendMismatch(
                    f"{self.where}: takes {size} frequency bins, "
                    f"the frontend has {expected}"
                )
        return out_shape[1]


def _tensors(infos: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return data type and shape by name of `TensorInfo` messages."""
    names = {number: name for name, number in protos.DATA_TYPES.items()}
    return {
        name: (
            names.get(info.dtype, f"data type {info.dtype}"),
            tuple(dim.size for dim in info.tensor_shape.dim),
        )
        for name, info in infos.items()
    }


def _describe(tensors: dict[str, tuple[str, tuple[int, ...]]]) -> str:
    return ", ".join(f"{name}: {t} {shape}" for name, (t, shape) in tensors.items())


def _read_frontend(path: Path) -> Frontend:
    if path.is_dir():
        path = path / MANIFEST
    try:
        return Frontend.from_dict(
            json_object(path.read_bytes(), path, EncoderError)["frontend"]
        )
    except (OSError, EncoderError, ConfigError, KeyError, TypeError) as error:
        raise EncoderError(
            f"{path}: expected the manifest of an exported encoder, with the "
            f"frontend's parameters under 'frontend' ({type(error).__name__}: {error})"
        ) from None


def _sweep(frontend: Frontend) -> np.ndarray:
    """Return eight pooled frames of a tone that rises from the lowest bin."""
    seconds = 8 * frontend.seconds_per_frame
    t = np.arange(int(seconds * frontend.sample_rate)) / frontend.sample_rate
    rate = np.log(2) * (frontend.n_bins - 1) / frontend.bins_per_octave / seconds
    phase = 2 * np.pi * frontend.fmin * np.expm1(rate * t) / rate
    return (0.5 * np.sin(phase)).astype(np.float32)
