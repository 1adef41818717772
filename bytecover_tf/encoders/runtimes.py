"""The runtimes that can run an encoder's network.

Each maps features (batch, n_bins, frames, 1), or samples (batch, samples) if that is
its source, to f_c (batch, dim) and knows its frontend. Only the one that is used is
imported, so ONNX Runtime needs no TensorFlow.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.cores import NVIDIA
from bytecover_tf.errors import ConfigError, EncoderError
from bytecover_tf.files import JsonObject, json_object
from bytecover_tf.memory import returning_run

# The metadata entry in which an exported ONNX file describes itself.
METADATA = "bytecover"
_CUDA = "CUDAExecutionProvider"
_NO_CUDA = (
    "CUDA's libraries or its driver cannot be loaded; `pip install "
    '"onnxruntime-gpu[cuda,cudnn]"` brings the libraries'
)
# The file in which a bundle of exported encoders describes itself.
MANIFEST = "manifest.json"
# The entry of an ONNX file in it that says where in the graph heard notes are, and by
# which network: `tensor` and `hearing`, its SHA-256.
NOTES = "notes"


class Network(Protocol):
    """What an encoder needs of a trained network."""

    frontend: Frontend
    dim: int

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return f_c (batch, dim) of features (batch, n_bins, frames, 1)."""


class KerasNetwork:
    """A ByteCover model in memory.

    Args:
        model: the trained model.
        frontend: parameters of its features.
    """

    def __init__(self, model: Any, frontend: Frontend) -> None:
        import keras

        if keras.backend.backend() == "tensorflow":
            # XLA, which Keras takes by default, compiles a network anew for each
            # length of recordings. That takes longer than it saves on most.
            model.jit_compile = False
        # JAX has to compile, for each size of a batch as well: few sizes then.
        self._compiles_each_size = keras.backend.backend() == "jax"
        self._model = model
        self.frontend = frontend
        self.dim = model.dim

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return f_c (batch, dim) of features (batch, n_bins, frames, 1)."""
        count = len(features)
        if self._compiles_each_size:
            rows = np.minimum(np.arange(1 << (count - 1).bit_length()), count - 1)
            features = features[rows]
        return self._model.predict_on_batch(features)["f_c"][:count]


class OnnxNetwork:
    """An exported encoder in ONNX Runtime.

    Args:
        path: a graph that `python -m export` wrote.
        providers: ONNX Runtime's execution providers, the preferred one first; by
            default CUDA where it is available, else the CPU.
        threads: number of threads for one operation; by default one per core.

    Attributes:
        info: the metadata that the exporter wrote into the file.
        source: what the graph reads, `features` or `waveform`.

    Raises:
        EncoderError: the file is missing, or not exported by this package; or ONNX
            Runtime lacks a provider.
    """

    # What the graph reads beside its source.
    _further: tuple[str, ...] = ()

    def __init__(
        self,
        path: str | Path,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        self._session = onnx_session(path, providers, threads, self._graph(path))
        self.info = self._read_info(path)
        try:
            self.frontend = Frontend.from_dict(self.info["frontend"])
            self.dim = self.info["dim"]
        except (KeyError, TypeError, ConfigError) as error:
            raise EncoderError(f"{path}: damaged metadata ({error})") from None

    def _graph(self, path: str | Path) -> str | bytes:
        """Return what to open: the file, or other content in its place."""
        return str(path)

    def _read_info(self, path: str | Path) -> JsonObject:
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA not in metadata:
            raise EncoderError(f"{path}: not exported by this package")
        names = [item.name for item in self._session.get_inputs()]
        if names not in (["features", *self._further], ["waveform"]):
            raise EncoderError(
                f"{path}: its input is {', '.join(names)}; expected a graph from "
                "features or waveform"
            )
        self.source = names[0]
        return json_object(metadata[METADATA], path, EncoderError)

    @property
    def providers(self) -> list[str]:
        """The execution providers in use, the preferred one first."""
        return self._session.get_providers()

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return f_c (batch, dim) of what the graph reads."""
        values = features[..., 0] if self.source == "features" else features
        return self._run({self.source: np.ascontiguousarray(values, np.float32)})

    def _run(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        # With IO binding, a GPU copies only the inputs and the embedding.
        binding = self._session.io_binding()
        for name, values in inputs.items():
            binding.bind_cpu_input(name, values)
        binding.bind_output("embedding")
        self._session.run_with_iobinding(binding, returning_run())
        return binding.copy_outputs_to_cpu()[0]


def onnx_session(
    path: str | Path,
    providers: Sequence[str] | None,
    threads: int | None,
    graph: str | bytes = "",
) -> Any:
    """Return a session of ONNX Runtime.

    Args:
        path: an ONNX file.
        providers: as of `OnnxNetwork`.
        threads: as of `OnnxNetwork`.
        graph: another file or content that is to be run in its place.

    Raises:
        EncoderError: as of `OnnxNetwork`.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    # The runtime keeps a memory plan for every shape, but hardly two recordings share a
    # shape. Without plans a process is a fifth smaller after many lengths, and no
    # slower.
    options.enable_mem_pattern = False
    available = onnxruntime.get_available_providers()
    preferred = (_CUDA, "CPUExecutionProvider")
    chosen = providers or [name for name in preferred if name in available]
    advice = _on_lost_gpu(available)
    if advice and not providers and NVIDIA.exists():
        warnings.warn(f"networks run on the CPU: {advice}", stacklevel=2)
    # Without a GPU the runtime falls back to the CPU, which needs no warning.
    onnxruntime.set_default_logger_severity(4)
    if _CUDA in chosen and NVIDIA.exists() and hasattr(onnxruntime, "preload_dlls"):
        with redirect_stdout(None):  # it prints what it cannot find
            onnxruntime.preload_dlls()
    try:
        session = onnxruntime.InferenceSession(
            graph or str(path), options, providers=chosen
        )
    except Exception as error:  # its classes share no root of their own
        raise EncoderError(f"{path}: cannot be loaded ({error})") from None
    finally:
        onnxruntime.set_default_logger_severity(2)
    used = session.get_providers()
    if not providers and _CUDA in chosen and _CUDA not in used and NVIDIA.exists():
        warnings.warn(f"networks run on the CPU: {_NO_CUDA}", stacklevel=2)
    missing = [name for name in providers or () if name not in used]
    if missing:
        raise EncoderError(
            f"ONNX Runtime cannot use {', '.join(missing)} here; it has "
            + ", ".join(available)
            + (f". {advice}" if advice else "")
            + (f". {_NO_CUDA}" if _CUDA in missing and _CUDA in available else "")
        )
    return session


def _on_lost_gpu(available: Sequence[str]) -> str:
    """Return advice if ONNX Runtime for CPUs was installed over that for GPUs."""
    if _CUDA in available:
        return ""
    try:
        distribution("onnxruntime-gpu")
    except PackageNotFoundError:
        return ""
    return (
        "onnxruntime-gpu is installed, but pip wrote onnxruntime over it; bring it "
        "back by `pip install --force-reinstall --no-deps onnxruntime-gpu`"
    )


class LiteNetwork:
    """An exported encoder in LiteRT.

    Args:
        path: a `.tflite` file that `python -m export` wrote.
        frontend: parameters of its features.
        source: what the signature reads, `features` or `waveform`.

    Raises:
        EncoderError: the file cannot be read, or has no such signature.
    """

    def __init__(
        self, path: str | Path, frontend: Frontend, source: str = "features"
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(model_path=str(path))
        except ValueError as error:
            raise EncoderError(f"{path}: cannot be loaded ({error})") from None
        signatures = interpreter.get_signature_list()
        name = _signature(path, source, signatures)
        self._run = interpreter.get_signature_runner(name)
        # An interpreter has one set of tensors, whose lengths change with the input.
        self._lock = threading.Lock()
        self.source = source
        self.frontend = frontend
        self.dim = int(self._run.get_output_details()["embedding"]["shape"][-1])

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Return f_c (batch, dim) of the signature's own input."""
        with self._lock:
            return self._run(**{self.source: batch})["embedding"]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return f_c (batch, dim) of what the signature reads."""
        values = features[..., 0] if self.source == "features" else features
        return self.run(np.ascontiguousarray(values, np.float32))


class SavedModelNetwork:
    """An exported encoder in TensorFlow.

    Args:
        path: folder of a SavedModel that `python -m export` wrote.
        frontend: parameters of its features.
        source: what the signature reads, `features` or `waveform`.

    Raises:
        EncoderError: there is no SavedModel with such a signature.
    """

    def __init__(
        self, path: str | Path, frontend: Frontend, source: str = "features"
    ) -> None:
        import tensorflow as tf

        try:
            self._model = tf.saved_model.load(str(path))
        except OSError as error:
            raise EncoderError(f"{path}: cannot be loaded ({error})") from None
        name = _signature(path, source, self._model.signatures)
        self._run = self._model.signatures[name]
        self.source = source
        self.frontend = frontend
        self.dim = int(self._run.structured_outputs["embedding"].shape[-1])

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return f_c (batch, dim) of what the signature reads."""
        values = features[..., 0] if self.source == "features" else features
        return self._run(**{self.source: values})["embedding"].numpy()


def _signature(path: str | Path, source: str, known: Iterable[str]) -> str:
    """Return the name of the signature that reads a source.

    Raises:
        EncoderError: it is not among those known.
    """
    name = "features" if source == "features" else "serving_default"
    if name not in known:
        raise EncoderError(
            f"{path}: no signature `{name}`; found " + (", ".join(known) or "none")
        )
    return name
