"""A bundle: a folder of exported variants of one encoder and what was measured.

    saved_model/1/              for TensorFlow and TensorFlow Serving
    models.config, batching_parameters.txt      for TensorFlow Serving
    encoder_features.onnx       from pooled features
    encoder_waveform.onnx       from samples at 22 050 Hz
    encoder_*_float16.onnx, encoder_*_int8.onnx
    encoder.tflite, encoder_int8.tflite         for LiteRT, from either
    manifest.json               what the graphs read and give, licence, versions,
                                checksums of all files, parity
    README.md, golden/, ...     as `export.companions` says

The folder appears once everything in it has been compared with the model.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.encoders.model_file import encoder_file, load_model, versions
from bytecover_tf.encoders.pretrained import is_pretrained_name
from bytecover_tf.encoders.probe import PROBE, answer
from bytecover_tf.encoders.runtimes import (
    MANIFEST,
    KerasNetwork,
    LiteNetwork,
    OnnxNetwork,
)
from bytecover_tf.errors import EncoderError
from bytecover_tf.evaluation.protocol import choose_split, evaluate_tracks
from bytecover_tf.files import JsonObject, content_hash
from bytecover_tf.stores.feature_store import FeatureStore
from export import DEFAULT_FORMATS, INPUTS, onnx_graphs, parity
from export.compact import compact
from export.companions import LICENCE, write_companions, write_sums
from export.graphs import Graphs, write_saved_model
from export.serving import write_serving_files

if TYPE_CHECKING:
    from onnx import ModelProto

_FORMAT = 1
_READS = {
    "waveform": "mono samples at the frontend's sample rate, min_samples or more",
    "features": "the amplitude of a constant-Q transform as the frontend describes it",
}
_DOCUMENTATION = {
    source: f"Embeds recordings to find covers. Reads {reads}; gives an embedding of "
    "unit norm, of which dot products are similarities, and NaN for silence and for "
    "what is not finite. The metadata has the parameters as JSON."
    for source, reads in _READS.items()
}
_CALIBRATION_TRACKS = 100
_MODULES = (
    *("bytecover_tf", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime"),
    "librosa",
)


def export(
    encoder: str | Path,
    out: str | Path,
    formats: Sequence[str] = DEFAULT_FORMATS,
    inputs: Sequence[str] = INPUTS,
    precisions: Sequence[str] = ("float32",),
    report: Callable[[str], None] = lambda line: None,
    licence: str = "",
    shipped: bool = False,
) -> JsonObject:
    """Write a bundle and return its manifest.

    Args:
        encoder: a run directory of train, or an encoder.keras.
        out: the bundle's folder, which must not exist.
        formats: names from `FORMATS`; a SavedModel is always float32.
        inputs: names from `INPUTS`.
        precisions: names from `PRECISIONS`, for ONNX and LiteRT, which has no
            float16.
        report: called with a line for each file that is done.
        licence: of the encoder, as an SPDX identifier; by default that of the
            package for an encoder of the package, and none for any other.
        shipped: whether it is for the package itself: float32 ONNX files hold weights
            as float16 where no bit is lost by that, which halves them and suits
            runtimes that fold constants; and nothing stands beside the graphs.

    Raises:
        EncoderError: there is no encoder, or `out` exists.
        ParityError: a variant differs from the model. No folder is left.
    """
    path, out = encoder_file(encoder), Path(out)
    model, info = load_model(path)
    if out.exists():
        raise EncoderError(f"{out}: exists; a bundle needs a folder of its own")
    frontend = Frontend.from_dict(info["frontend"])
    original = Encoder(KerasNetwork(model, frontend), info)
    identity = {
        "frontend": frontend.to_dict(),
        "dim": model.dim,
        "encoder_sha256": content_hash(path),
        "min_samples": frontend.min_samples,
        "axes": {
            "waveform": ["batch", "samples"],
            "features": ["batch", frontend.n_bins, "frames"],
            "embedding": ["batch", model.dim],
        },
        "licence": licence or (LICENCE if is_pretrained_name(encoder) else None),
        "producer": "bytecover_tf",
        "version": versions("bytecover_tf")["bytecover_tf"],
    }
    info = {PROBE: answer(KerasNetwork(model, frontend), frontend.n_bins), **info}
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        cases = parity.make_cases(model, frontend)
        graphs = Graphs(model, frontend)
        known = {**identity, PROBE: info[PROBE]}
        writer = _Writer(beside, original, cases, graphs, known, report)
        if "saved_model" in formats:
            writer.saved_model(tuple(inputs))
        if "onnx" in formats:
            kernels = [np.asarray(weight) for weight in model.trainable_variables]
            writer.onnx(inputs, precisions, kernels if shipped else ())
        if "tflite" in formats:
            writer.lite(tuple(inputs), precisions)
        if not shipped:
            write_companions(beside, original, identity, writer.files)
        manifest = {
            "format": _FORMAT,
            **identity,
            "versions": versions(*_MODULES),
            "documentation": _DOCUMENTATION,
            "files": writer.files,
            "sums": {
                file.relative_to(beside).as_posix(): content_hash(file)
                for file in sorted(beside.rglob("*"))
                if file.is_file()
            },
            "encoder": info,
        }
        (beside / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        if not shipped:
            write_sums(beside)
        os.replace(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return manifest


class _Writer:
    """Writes variants into a folder and compares each with the model."""

    def __init__(
        self,
        folder: Path,
        original: Encoder,
        cases: list[parity.Case],
        graphs: Graphs,
        identity: JsonObject,
        report: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._original = original
        self._graphs = graphs
        self._identity = identity
        self._report = report
        self._cases = cases
        # There are finer features too, which most encoders read.
        self._test_store = FeatureStore(tunes.store(original.frontend))
        self.files: list[JsonObject] = []

    def saved_model(self, inputs: tuple[str, ...]) -> None:
        import tensorflow as tf

        name = "saved_model/1"
        write_saved_model(self._graphs, self._folder / name, inputs)
        keys = {"features": "features", "waveform": "serving_default"}
        # One shortest and one long request for each signature.
        samples = (self._cases[0], self._cases[-1])
        write_serving_files(
            self._folder,
            {
                keys[source]: [getattr(case, source)[0] for case in samples]
                for source in inputs
            },
        )
        signatures = tf.saved_model.load(str(self._folder / name)).signatures
        for source in inputs:
            function = signatures[keys[source]]

            def run(batch: np.ndarray, function: Any = function, source: str = source):
                return function(**{source: tf.constant(batch)})["embedding"].numpy()

            self._add(f"{name}/saved_model.pb", run, source, "float32")

    def onnx(
        self,
        inputs: Sequence[str],
        precisions: Sequence[str],
        kernels: Sequence[np.ndarray],
    ) -> None:
        encoder = onnx_graphs.convert(self._graphs.encoder)
        transform = (
            onnx_graphs.convert(self._graphs.transform, length="samples")
            if "waveform" in inputs
            else None
        )
        for precision in precisions:
            graph = compact(encoder, kernels)
            if precision == "float16":
                graph = onnx_graphs.to_float16(encoder)
            elif precision == "int8":
                graph = onnx_graphs.to_int8(encoder, self._calibration())
            if "features" in inputs:
                self._onnx_file(graph, "features", precision)
            if transform is not None:
                joined = onnx_graphs.join(transform, graph)
                self._onnx_file(joined, "waveform", precision)

    def lite(self, inputs: tuple[str, ...], precisions: Sequence[str]) -> None:
        from export import lite

        with tempfile.TemporaryDirectory() as folder:
            write_saved_model(self._graphs, Path(folder), inputs)
            for precision in precisions:
                if precision == "float16":
                    continue
                suffix = "" if precision == "float32" else f"_{precision}"
                path = self._folder / f"encoder{suffix}.tflite"
                path.write_bytes(lite.convert(Path(folder), precision))
                for source in inputs:
                    network = LiteNetwork(path, self._original.frontend, source)
                    self._add(path.name, network.run, source, precision)

    def _onnx_file(self, graph: ModelProto, source: str, precision: str) -> None:
        import onnxruntime

        suffix = "" if precision == "float32" else f"_{precision}"
        path = self._folder / f"encoder_{source}{suffix}.onnx"
        facts = {
            **self._identity,
            "input": source,
            "precision": precision,
            "documentation": _DOCUMENTATION[source],
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
            in_half = parity.check_in_half(graph, self._cases, path.name)
            self.files[-1]["parity"]["half_arithmetic"] = in_half
        if source == "features" and precision != "float32":
            self.files[-1]["tunes"] = self._map_on_tunes(path)

    def _add(self, name: str, run: parity.Run, source: str, precision: str) -> None:
        measured = parity.check(run, self._cases, source, precision, name)
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

    def _calibration(self) -> list[np.ndarray]:
        """Return features of recordings that are in no test."""
        store, wanted = FeatureStore(tunes.STORE), self._original.frontend
        times = max(store.frontend.pool // wanted.pool, 1)
        if replace(wanted, pool=times * wanted.pool) != store.frontend:
            return [row for case in self._cases for row in case.features]
        tracks = choose_split(tunes.load(), "train")
        step = len(tracks) // _CALIBRATION_TRACKS
        # An encoder of shorter frames is given each frame several times over.
        return [
            np.repeat(store.features(track.path), times, axis=1)
            for track in tracks[::step]
        ]

    def _map_on_tunes(self, path: Path) -> dict[str, float] | None:
        """Return MAP on the test works of `tunes`, of the variant and the model.

        None if the encoder reads other features than the embedded ones.
        """
        if self._test_store.frontend != self._original.frontend:
            return None
        exact = self._map_of_model
        figure = self._map_of(Encoder(OnnxNetwork(path, ["CPUExecutionProvider"])))
        self._report(f"{path.name}: MAP on tunes {figure:.4f}, the model's {exact:.4f}")
        return {"map": figure, "map_of_model": exact, "loss": exact - figure}

    @cached_property
    def _map_of_model(self) -> float:
        return self._map_of(self._original)

    def _map_of(self, encoder: Encoder) -> float:
        tracks = choose_split(tunes.load(), "test")
        return evaluate_tracks(encoder, tracks, self._test_store).metrics["map"]
