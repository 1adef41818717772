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

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bytecover_tf.audio.frontend import LONGEST_WORK, Frontend
from bytecover_tf.data import drawn_tunes, tunes
from bytecover_tf.encoders.encoder import PART, Encoder
from bytecover_tf.encoders.model_file import (
    encoder_checksum,
    encoder_file,
    load_model,
)
from bytecover_tf.encoders.pretrained import is_pretrained_name
from bytecover_tf.encoders.probe import PROBE, answer
from bytecover_tf.encoders.runtimes import KerasNetwork, OnnxNetwork
from bytecover_tf.errors import ConfigError
from bytecover_tf.evaluation.protocol import choose_split, evaluate_tracks
from bytecover_tf.files import JsonObject
from bytecover_tf.stores.feature_store import FeatureStore
from export import DEFAULT_FORMATS, INPUTS, parity
from export.companions import LICENCE, write_companions, write_sums
from export.graphs import Graphs
from export.notes import add_notes
from export.variants import (
    VariantWriter,
    check_precisions,
    new_folder,
    origin,
    write_manifest,
)

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
        ConfigError: no format has a precision that is asked for.
        EncoderError: there is no encoder, or `out` exists.
        ParityError: a variant differs from the model. No folder is left.
    """
    check_precisions(precisions, formats)
    path, out = encoder_file(encoder), Path(out)
    model, info = load_model(path)
    frontend = Frontend.from_dict(info["frontend"])
    original = Encoder(KerasNetwork(model, frontend), info)
    identity = {
        "frontend": frontend.to_dict(),
        "dim": model.dim,
        "encoder_sha256": encoder_checksum(path),
        "min_samples": frontend.min_samples,
        "longest_seconds": LONGEST_WORK,
        "part_seconds": PART,
        "axes": {
            "waveform": ["batch", "samples"],
            "features": ["batch", frontend.n_bins, "frames"],
            "embedding": ["batch", model.dim],
        },
        **origin(
            licence or (LICENCE if is_pretrained_name(encoder) else None),
            _DOCUMENTATION,
        ),
    }
    info = {PROBE: answer(KerasNetwork(model, frontend), frontend.n_bins), **info}
    with new_folder(out) as beside:
        cases = parity.make_cases(parity.embeddings_of(model, frontend), frontend)
        writer = VariantWriter(
            beside,
            Graphs(model, frontend),
            cases,
            parity.EMBEDDING_TOLERANCES,
            {**identity, PROBE: info[PROBE]},
            report,
        )
        if "saved_model" in formats:
            writer.saved_model(tuple(inputs), "bytecover")
        if "onnx" in formats:
            kernels = [np.asarray(weight) for weight in model.trainable_variables]
            writer.onnx(
                inputs,
                precisions,
                lambda: _calibration(frontend),
                kernels if shipped else (),
            )
            add_notes(writer.files, beside, model, frontend, cases, report)
            _add_map(writer.files, beside, original, report)
        if "tflite" in formats:
            writer.lite(tuple(inputs), precisions)
        if not shipped:
            write_companions(beside, original, identity, writer.files)
        facts = {**identity, "files": writer.files, "encoder": info}
        manifest = write_manifest(beside, facts)
        if not shipped:
            write_sums(beside)
    return manifest


def _calibration(frontend: Frontend) -> list[np.ndarray]:
    """Return features of recordings that are in no test."""
    try:
        return drawn_tunes.sample(_CALIBRATION_TRACKS, frontend)
    except ConfigError:
        # Nothing is drawn in such frames, and no embedded test has them.
        return [frontend.extract(path) for path in tunes.audio_files()]


def _add_map(
    files: list[JsonObject],
    folder: Path,
    original: Encoder,
    report: Callable[[str], None],
) -> None:
    """Add MAP on the test works of `tunes` to the lower precisions in ONNX.

    It is None if the encoder reads other features than the embedded ones.
    """
    lower = [
        item
        for item in files
        if item["input"] == "features" and item["precision"] != "float32"
    ]
    if not lower or not drawn_tunes.is_fit(original.frontend):
        for item in lower:
            item["tunes"] = None
        return
    tracks = choose_split(tunes.load(), "test")
    store = FeatureStore(drawn_tunes.store(original.frontend, tracks))
    exact = evaluate_tracks(original, tracks, store).metrics["map"]
    for item in lower:
        variant = OnnxNetwork(folder / item["path"], ["CPUExecutionProvider"])
        found = evaluate_tracks(Encoder(variant), tracks, store).metrics["map"]
        report(f"{item['path']}: MAP on tunes {found:.4f}, the model's {exact:.4f}")
        item["tunes"] = {"map": found, "map_of_model": exact, "loss": exact - found}
