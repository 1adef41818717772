"""Whether an exported graph gives what the model it was made from gives.

Every variant is run on recordings at several batch sizes and lengths, because an
exported graph that is right only at the traced shape is the usual mistake. What it
is compared with is computed in float64: TensorFlow picks its float32 kernels by the
processor, and whether an export is right must not depend on those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.encoders.runtimes import KerasNetwork
from bytecover_tf.errors import ByteCoverError
from bytecover_tf.files import JsonObject
from bytecover_tf.layers.semitones import BINS_PER_SEMITONE
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.ensemble import Ensemble
from bytecover_tf.models.note_network import NoteNetwork

if TYPE_CHECKING:
    import onnx

Run = Callable[[np.ndarray], np.ndarray]
# The largest allowed difference of any component, and the least cosine, of what is made
# from `features` or `waveform` in some precision.
Tolerances = Mapping[tuple[str, str], tuple[float, float]]

BATCHES = (1, 3, 8)
FRAMES = (2, 13, 40, 110)
_HALF_FRAMES = 40

# In float32 only rounding may differ; the transform from waveforms has its own stated
# tolerance to librosa's, which shows here.
EMBEDDING_TOLERANCES: Tolerances = {
    ("features", "float32"): (1e-4, 0.999999),
    ("waveform", "float32"): (1e-4, 0.9999),
    ("features", "float16"): (1e-2, 0.999),
    ("waveform", "float16"): (1e-2, 0.999),
    ("features", "int8"): (1.0, 0.95),
    ("waveform", "int8"): (1.0, 0.95),
}
# Probabilities. Their cosine is the correlation of all notes, onsets or melody of a
# recording: most are near zero, and what stands out counts.
HEARING_TOLERANCES: Tolerances = {
    ("features", "float32"): (1e-4, 0.999999),
    ("waveform", "float32"): (1e-4, 0.99999),
    ("features", "float16"): (1e-2, 0.999),
    ("waveform", "float16"): (1e-2, 0.999),
    ("features", "int8"): (0.5, 0.98),
    ("waveform", "int8"): (0.5, 0.98),
}


class ParityError(ByteCoverError):
    """An exported graph does not give what the model gives."""


@dataclass(frozen=True)
class Case:
    """One batch and what the model gives for it.

    Attributes:
        waveform: (batch, samples).
        features: (batch, n_bins, frames), by the reference transform.
        expected: (batch, ...), by the Keras model in float64.
    """

    waveform: np.ndarray
    features: np.ndarray
    expected: np.ndarray


def embeddings_of(model: ByteCover | Ensemble, frontend: Frontend) -> Run:
    """Return the function from features to the embeddings of a model in float64."""
    return Encoder(KerasNetwork(in_float64(model), frontend)).embed_features


def notes_of(model: NoteNetwork) -> Run:
    """Return the function from features to what a model in float64 hears."""
    exact = type(model).from_config({**model.get_config(), "dtype": "float64"})
    exact.build((None, BINS_PER_SEMITONE, None, 1))
    exact.set_weights(model.get_weights())

    def hear(features: np.ndarray) -> np.ndarray:
        relative = features / features.mean(axis=(1, 2), keepdims=True)
        even = relative[:, :, : features.shape[2] // 2 * 2, np.newaxis]
        logits = np.asarray(exact(even, training=False))
        return np.moveaxis(1 / (1 + np.exp(-logits)), 3, 1)

    return hear


def make_cases(answer: Run, frontend: Frontend) -> list[Case]:
    """Return batches of every size and length, cut from the embedded recordings.

    Args:
        answer: gives what is expected for a batch of features.
        frontend: parameters of the features.
    """
    music = np.concatenate(
        [load_audio(path, frontend.sample_rate) for path in tunes.audio_files()]
    )
    rng = np.random.default_rng(0)
    cases = []
    for frames in FRAMES:
        # A tail that fills no frame must be dropped by the graph as well.
        tail = frontend.hop_length * frontend.pool // 3 + 1
        samples = frontend.min_samples + (frames - 1) * _frame_samples(frontend) + tail
        for batch in BATCHES:
            starts = rng.integers(0, len(music) - 1, batch)
            waveform = np.stack(
                [np.take(music, range(s, s + samples), mode="wrap") for s in starts]
            )
            features = np.stack([frontend.features(row) for row in waveform])
            cases.append(Case(waveform, features, answer(features)))
    return cases


def check_in_half(
    graph: onnx.ModelProto, cases: list[Case], allowed: tuple[float, float], name: str
) -> JsonObject:
    """Compare a float16 graph, computed in half precision, with the model.

    ONNX Runtime computes it in float32 on a CPU, where nothing overflows that does so
    on a GPU or a phone.

    Args:
        graph: the ONNX model from features.
        cases: what `make_cases` returns; the small ones are used, as it takes seconds.
        allowed: the tolerance.
        name: name of the variant, for the error.

    Raises:
        ParityError: a case lies outside the tolerance.
    """
    from onnx.reference import ReferenceEvaluator

    evaluator: Any = ReferenceEvaluator(graph)
    small = [
        case
        for case in cases
        if len(case.features) == 1 and case.features.shape[2] <= _HALF_FRAMES
    ]

    def run(batch: np.ndarray) -> np.ndarray:
        return evaluator.run(None, {"features": batch})[0]

    with np.errstate(over="ignore"):  # of exponentials, whose logistic is then 0
        found = check(run, small, "features", allowed, f"{name} in half precision")
    return {key: found[key] for key in ("max_abs", "min_cosine")}


def in_float64(model: ByteCover | Ensemble) -> ByteCover | Ensemble:
    """Return a copy of a model that computes its feature maps in float64."""
    if isinstance(model, Ensemble):
        return Ensemble([in_float64(member) for member in model.members], model.shares)
    return model.encoder(model.fresh(dtype="float64"))


def _frame_samples(frontend: Frontend) -> int:
    return frontend.pool * frontend.hop_length


def check(
    run: Run,
    cases: list[Case],
    source: str,
    allowed: tuple[float, float],
    name: str,
) -> JsonObject:
    """Compare a variant with the model on every case.

    Args:
        run: maps a batch of `source` to what the variant gives.
        cases: what `make_cases` returns.
        source: `features` or `waveform`.
        allowed: the largest difference and the least cosine.
        name: name of the variant, for the error.

    Returns:
        `max_abs` and `min_cosine` over all cases, the tolerances, and the shapes.

    Raises:
        ParityError: a case lies outside the tolerance.
    """
    largest, least = allowed
    max_abs, min_cosine = 0.0, 1.0
    for case in cases:
        batch = getattr(case, source)
        found = run(batch)
        if found.shape != case.expected.shape:
            raise ParityError(
                f"{name}: {source} {batch.shape} gave {found.shape}, the model "
                f"{case.expected.shape}; nothing was exported"
            )
        difference = np.abs(found - case.expected).max()
        cosine = _cosines(found, case.expected).min()
        # Written so that NaN fails.
        if not (difference <= largest and cosine >= least):
            raise ParityError(
                f"{name}: differs from the model on {source} {batch.shape} by "
                f"{difference:.2g} (allowed {largest:g}), cosine {cosine:.6f} "
                f"(at least {least:g}); nothing was exported"
            )
        max_abs = max(max_abs, float(difference))
        min_cosine = min(min_cosine, float(cosine))
    return {
        "max_abs": max_abs,
        "min_cosine": min_cosine,
        "allowed_max_abs": largest,
        "required_cosine": least,
        "batches": BATCHES,
        "frames": FRAMES,
    }


def _cosines(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the cosines of embeddings, or the correlations of notes of each kind."""
    a, b = found, expected
    if expected.ndim > 2:
        a, b = (values.reshape(*expected.shape[:2], -1) for values in (a, b))
        a, b = (values - values.mean(axis=-1, keepdims=True) for values in (a, b))
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return (a * b).sum(axis=-1) / norms
