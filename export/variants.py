"""The forms of one network in a bundle, each compared with the model as it is written.

The folder of the bundle appears once everything in it has been compared.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bytecover_tf.encoders.model_file import versions
from bytecover_tf.encoders.runtimes import MANIFEST
from bytecover_tf.errors import ConfigError, EncoderError
from bytecover_tf.files import JsonObject, content_hash
from export import onnx_graphs, parity
from export.compact import compact
from export.graphs import Graphs, write_saved_model
from export.serving import write_serving_files

if TYPE_CHECKING:
    from onnx import ModelProto

_FORMAT = 1
_MODULES = (
    *("bytecover_tf", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime"),
    "librosa",
)
_SIGNATURES = {"features": "features", "waveform": "serving_default"}


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to fill that appears at `out` in the end, unless something fails.

    Raises:
        EncoderError: `out` exists.
    """
    if out.exists():
        raise EncoderError(f"{out}: exists; a bundle needs a folder of its own")
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        os.replace(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_precisions(precisions: Sequence[str], formats: Sequence[str]) -> None:
    """Check that a format has a precision that is asked for.

    Args:
        precisions: names from `PRECISIONS`.
        formats: names from `FORMATS`.

    Raises:
        ConfigError: none has.
    """
    if set(precisions) != {"float32"} and set(formats) <= {"saved_model"}:
        raise ConfigError(
            f"{', '.join(precisions)}: a SavedModel is always float32; ask for ONNX or "
            "LiteRT"
        )


def origin(licence: str | None, documentation: Mapping[str, str]) -> JsonObject:
    """Return where a bundle comes from, as its manifest and its files tell it.

    Args:
        licence: of the network, as an SPDX identifier, if it is known.
        documentation: what the network does, by what it reads.
    """
    return {
        "licence": licence,
        "producer": "bytecover_tf",
        "version": versions("bytecover_tf")["bytecover_tf"],
        "documentation": documentation,
    }


def write_manifest(folder: Path, facts: JsonObject) -> JsonObject:
    """Write and return the manifest of a bundle whose other files are written.

    Args:
        folder: the bundle.
        facts: what the manifest says beside format, versions and checksums.
    """
    manifest = {
        "format": _FORMAT,
        **facts,
        "versions": versions(*_MODULES),
        "sums": {
            file.relative_to(folder).as_posix(): content_hash(file)
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


class VariantWriter:
    """Writes variants of a network into a folder and compares each with the model.

    Args:
        folder: the bundle.
        graphs: the network.
        cases: what the model gives.
        tolerances: how far the variants may be off.
        facts: what each ONNX file says of itself; `documentation` by source.
        report: called with a line for each file that is done.

    Attributes:
        files: what was written and measured, for the manifest.
    """

    def __init__(
        self,
        folder: Path,
        graphs: Graphs,
        cases: list[parity.Case],
        tolerances: parity.Tolerances,
        facts: JsonObject,
        report: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._graphs = graphs
        self._cases = cases
        self._tolerances = tolerances
        self._facts = facts
        self._report = report
        self.files: list[JsonObject] = []

    def saved_model(self, inputs: tuple[str, ...], served_as: str) -> None:
        """Write a SavedModel, and what a server needs to serve it under some name."""
        import tensorflow as tf

        name, output = "saved_model/1", self._graphs.output
        write_saved_model(self._graphs, self._folder / name, inputs)
        # One shortest and one long request for each signature.
        samples = (self._cases[0], self._cases[-1])
        write_serving_files(
            self._folder,
            {
                _SIGNATURES[source]: [getattr(case, source)[0] for case in samples]
                for source in inputs
            },
            served_as,
            output,
        )
        signatures = tf.saved_model.load(str(self._folder / name)).signatures
        for source in inputs:
            function = signatures[_SIGNATURES[source]]

            def run(batch: np.ndarray, function: Any = function, source: str = source):
                return function(**{source: tf.constant(batch)})[output].numpy()

            self._add(f"{name}/saved_model.pb", run, source, "float32")

    def onnx(
        self,
        inputs: Sequence[str],
        precisions: Sequence[str],
        calibration: Callable[[], list[np.ndarray]],
        kernels: Sequence[np.ndarray] = (),
        kept: Sequence[int] = (),
    ) -> None:
        """Write ONNX files.

        Args:
            inputs: names from `INPUTS`.
            precisions: names from `PRECISIONS`.
            calibration: returns features that set the ranges of int8.
            kernels: weights to hold as float16 in float32 files, as of `compact`.
            kept: convolutions that int8 leaves as they are, as of `to_int8`.
        """
        network = onnx_graphs.convert(self._graphs.network)
        transform = (
            onnx_graphs.convert(self._graphs.transform, length="samples")
            if "waveform" in inputs
            else None
        )
        for precision in precisions:
            graph = compact(network, kernels)
            if precision == "float16":
                graph = onnx_graphs.to_float16(network)
            elif precision == "int8":
                graph = onnx_graphs.to_int8(network, calibration(), kept)
            if "features" in inputs:
                self._onnx_file(graph, "features", precision)
            if transform is not None:
                joined = onnx_graphs.join(transform, graph)
                self._onnx_file(joined, "waveform", precision)

    def lite(self, inputs: tuple[str, ...], precisions: Sequence[str]) -> None:
        """Write LiteRT files, which have no float16.

        Raises:
            ConfigError: there would be no file at all.
        """
        from export import lite

        if set(precisions) == {"float16"} and not self.files:
            raise ConfigError("LiteRT has no float16; expected float32 or int8")

        with tempfile.TemporaryDirectory() as folder:
            write_saved_model(self._graphs, Path(folder), inputs)
            for precision in precisions:
                if precision == "float16":
                    self._report("no LiteRT file in float16, which LiteRT has not")
                    continue
                path = self._path("", precision, ".tflite")
                path.write_bytes(lite.convert(Path(folder), precision))
                for source in inputs:
                    run = lite.runner(path, _SIGNATURES[source], self._graphs.output)
                    self._add(path.name, run, source, precision)

    def _onnx_file(self, graph: ModelProto, source: str, precision: str) -> None:
        import onnxruntime

        path = self._path(f"_{source}", precision, ".onnx")
        facts = {
            **self._facts,
            "input": source,
            "precision": precision,
            "documentation": self._facts["documentation"][source],
        }
        onnx_graphs.write(graph, path, facts)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._add(
            path.name,
            lambda batch: session.run(None, {source: batch})[0],
            source,
            precision,
        )
        if source == "features" and precision == "float16":
            in_half = parity.check_in_half(
                graph, self._cases, self._tolerances[source, precision], path.name
            )
            self.files[-1]["parity"]["half_arithmetic"] = in_half

    def _path(self, source: str, precision: str, ending: str) -> Path:
        suffix = "" if precision == "float32" else f"_{precision}"
        return self._folder / f"{self._graphs.name}{source}{suffix}{ending}"

    def _add(self, name: str, run: parity.Run, source: str, precision: str) -> None:
        allowed = self._tolerances[source, precision]
        measured = parity.check(run, self._cases, source, allowed, name)
        path = self._folder / name
        self.files.append(
            {
                "path": name,
                "input": source,
                "precision": precision,
                "bytes": path.stat().st_size,
                "sha256": content_hash(path),
                "parity": measured,
            }
        )
        self._report(
            f"{name} from {source}: {path.stat().st_size / 1e6:.1f} MB, cosine to the "
            f"model {measured['min_cosine']:.6f}, largest difference "
            f"{measured['max_abs']:.1e}"
        )
