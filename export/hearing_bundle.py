"""A bundle of the network that hears notes, for programs without this package.

    saved_model/1/              for TensorFlow and TensorFlow Serving
    hearing_features.onnx       from the constant-Q transform of a recording
    hearing_waveform.onnx       from samples at 22 050 Hz
    hearing_*_float16.onnx, hearing_*_int8.onnx
    hearing.tflite, hearing_int8.tflite         for LiteRT, from either
    manifest.json               what the graphs read and give: times, pitches, ...;
                                licence, versions, checksums of all files, parity
    README.md, SHA256SUMS       a model card; checksums for `sha256sum -c`
    golden/                     a clip, its features and what is heard in it

The graphs read a recording as a whole. The file that `export.hearing` writes for the
package reads it in parts, in means that `audio.hearing` computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import log2
from pathlib import Path

import numpy as np

from bytecover_tf.audio.chroma import HEARD
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.data import tunes
from bytecover_tf.encoders.model_file import load_hearing_model
from bytecover_tf.files import JsonObject, content_hash
from bytecover_tf.layers.semitones import BINS_PER_SEMITONE
from export import DEFAULT_FORMATS, INPUTS, parity
from export.companions import (
    LICENCE,
    TEST_A_PORT,
    write_golden,
    write_licence,
    write_sums,
)
from export.graphs import Graphs
from export.hearing import kept_facts
from export.variants import (
    VariantWriter,
    check_precisions,
    new_folder,
    origin,
    write_manifest,
)

_READS = {
    "waveform": "mono samples at the frontend's sample rate, min_samples or more",
    "features": "the amplitude of a constant-Q transform of a whole recording as the "
    "frontend describes it",
}
_DOCUMENTATION = {
    source: f"Hears the notes in recordings. Reads {reads}; gives the probability that "
    "each pitch sounds, begins and is the melody, and NaN for silence and for what is "
    "not finite. The metadata has the parameters as JSON."
    for source, reads in _READS.items()
}
# Convolutions whose 8 bits would cost most: the first, which reads the transform, and
# that before the last, because most probabilities are close to zero.
_KEPT = (0, -2)

_CARD = """\
---
license: {license}
library_name: bytecover_tf
pipeline_tag: audio-classification
tags: [music, audio, music-transcription, onnx, tensorflow]
---

# A network that hears notes

It says of each semitone from {lowest} to {highest} (MIDI), every {step:.3f} s, how
likely a note sounds, how likely one begins, and how likely it is the melody. It was
exported by bytecover_tf {version}.

| file | reads | precision | MB | largest difference | smallest correlation |
|---|---|---|---|---|---|
{files}

`waveform` is float32 (batch, samples): mono, {rate} Hz, {min_samples} samples
({seconds:.2f} s) or more. `features` is float32 (batch, {n_bins}, frames): the
constant-Q transform that `frontend` in `manifest.json` describes, of a whole recording,
because the network compares amplitudes with their mean. The output `heard` is float32
(batch, 3, {pitches}, time), from 0 to 1: `notes`, `onsets` and `melody`. Column i
stands for the time {first:.4f} s + i * {step:.4f} s. Silence, NaN and infinity give
NaN. Rows of a batch do not affect one another.
{use}
{test_a_port}{licence}"""

_ONNX_USE = """
```python
import numpy as np, onnxruntime

hearing = onnxruntime.InferenceSession("hearing_waveform.onnx")
seconds = np.arange({rate} * 2) / {rate}
a4 = 0.3 * np.sin(2 * np.pi * 440 * seconds).astype(np.float32)[None]
notes, onsets, melody = hearing.run(["heard"], {{"waveform": a4}})[0][0]
print({lowest} + notes.mean(axis=1).argmax())  # 69, the MIDI number of A4
```
"""


def export_hearing_bundle(
    source: Path,
    out: Path,
    formats: Sequence[str] = DEFAULT_FORMATS,
    inputs: Sequence[str] = INPUTS,
    precisions: Sequence[str] = ("float32",),
    report: Callable[[str], None] = lambda line: None,
    licence: str = "",
) -> JsonObject:
    """Write a bundle and return its manifest.

    Args:
        source: a file of `train_hearing`.
        out: the bundle's folder, which must not exist.
        formats: names from `FORMATS`; a SavedModel is always float32.
        inputs: names from `INPUTS`.
        precisions: names from `PRECISIONS`, for ONNX and LiteRT, which has no
            float16.
        report: called with a line for each file that is done.
        licence: of the network, as an SPDX identifier; by default that of the package
            for the network of the package, and none for any other.

    Raises:
        ConfigError: no format has a precision that is asked for.
        EncoderError: `source` is missing or something else, or `out` exists.
        ParityError: a variant differs from the model. No folder is left.
    """
    check_precisions(precisions, formats)
    model, info = load_hearing_model(source)
    # The transform that `audio.hearing` reads.
    frontend = replace(Frontend.from_dict(info["frontend"]), estimated=True)
    shipped = Path(DEFAULT_HEARING.path).with_suffix(".keras")
    is_shipped = source.resolve() == shipped.resolve()
    identity = {
        **_what_is_heard(frontend),
        "hearing_sha256": content_hash(source),
        **origin(licence or (LICENCE if is_shipped else None), _DOCUMENTATION),
    }
    with new_folder(out) as beside:
        hear = parity.notes_of(model)
        cases = parity.make_cases(hear, frontend)
        graphs = Graphs(model, frontend)
        writer = VariantWriter(
            beside,
            graphs,
            cases,
            parity.HEARING_TOLERANCES,
            identity,
            report,
        )
        if "saved_model" in formats:
            writer.saved_model(tuple(inputs), "hearing")
        if "onnx" in formats:
            writer.onnx(inputs, precisions, lambda: _calibration(frontend), kept=_KEPT)
        if "tflite" in formats:
            writer.lite(tuple(inputs), precisions)
        write_golden(beside / "golden", frontend, graphs.output, hear)
        (beside / "README.md").write_text(_card(identity, writer.files))
        write_licence(beside, identity["licence"])
        facts = {**identity, "files": writer.files, "hearing": kept_facts(info)}
        manifest = write_manifest(beside, facts)
        write_sums(beside)
    return manifest


def _calibration(frontend: Frontend) -> list[np.ndarray]:
    """Return features of whole recordings.

    Those of short crops have larger values, in means of the recording.
    """
    return [frontend.extract(path) for path in tunes.audio_files()]


def _what_is_heard(frontend: Frontend) -> JsonObject:
    """Return the facts about what the graphs read and give, ready for JSON."""
    # Two frames of the features make one of what is heard.
    heard = replace(frontend, pool=2 * frontend.pool)
    pitches = frontend.n_bins // BINS_PER_SEMITONE
    lowest = round(69 + 12 * log2(frontend.fmin / 440))
    return {
        "frontend": frontend.to_dict(),
        "min_samples": heard.min_samples,
        "axes": {
            "waveform": ["batch", "samples"],
            "features": ["batch", frontend.n_bins, "frames"],
            "heard": ["batch", len(HEARD), pitches, "time"],
        },
        "channels": HEARD,
        "midi_pitches": list(range(lowest, lowest + pitches)),
        # The middle of the transform's frames that a column is made of.
        "seconds": {
            "first": heard.min_samples / 2 / heard.sample_rate,
            "step": heard.seconds_per_frame,
        },
    }


def _card(facts: JsonObject, files: Sequence[JsonObject]) -> str:
    frontend, licence = facts["frontend"], facts["licence"]
    rows = [
        f"| `{item['path']}` | {item['input']} | {item['precision']} | "
        f"{item['bytes'] / 1e6:.1f} | {item['parity']['max_abs']:.1g} | "
        f"{item['parity']['min_cosine']:.6f} |"
        for item in files
    ]
    has_waveform = any(item["path"] == "hearing_waveform.onnx" for item in files)
    rate, pitches = frontend["sample_rate"], facts["midi_pitches"]
    return _CARD.format(
        license=licence.lower() if licence else "other",
        lowest=pitches[0],
        highest=pitches[-1],
        version=facts["version"],
        files="\n".join(rows),
        rate=rate,
        min_samples=facts["min_samples"],
        seconds=facts["min_samples"] / rate,
        n_bins=frontend["n_bins"],
        pitches=len(pitches),
        **facts["seconds"],
        use=_ONNX_USE.format(rate=rate, lowest=pitches[0]) if has_waveform else "",
        test_a_port=TEST_A_PORT.format(output="heard"),
        licence=f"\n## Licence\n\n{licence}.\n" if licence else "",
    )
