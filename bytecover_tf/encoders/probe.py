"""A known question and its answer, which an encoder carries to be checked on loading.

Weights that were not restored, a graph with a flipped bit, a runtime's bug: all of
these give embeddings of the right shape. So a saved model carries the embedding of
features that can be recomputed anywhere, and loading compares it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bytecover_tf.errors import EncoderError
from bytecover_tf.files import JsonObject

# The entry of a file's facts that holds the embedding.
PROBE = "probe"
_FRAMES = 24
_DIGITS = 5
# Least cosine between the recorded embedding and the one that is found. Weights that
# are not the saved ones give about 0.
_LEAST = {"int8": 0.9}
_LEAST_OTHERWISE = 0.99


def probe_features(n_bins: int) -> np.ndarray:
    """Return float32 (1, n_bins, frames, 1) in 0 to 1, the same on every machine."""
    bins, frames = np.arange(n_bins)[:, None], np.arange(_FRAMES)
    values = np.sin(1.0 + 0.7 * bins + 0.13 * bins * frames) ** 8
    return values.astype(np.float32)[None, ..., None]


def answer(network: Callable[[np.ndarray], Any], n_bins: int) -> list[float] | None:
    """Return a network's answer to the probe, ready for JSON.

    Args:
        network: maps features (batch, n_bins, frames, 1) to f_c (batch, dim).
        n_bins: height of its features.

    Returns:
        The embedding at unit norm; None if it is not finite, as after a training that
        diverged.
    """
    f_c = np.asarray(network(probe_features(n_bins)), np.float64)[0]
    norm = np.linalg.norm(f_c)
    if not (np.isfinite(norm) and norm > 0):
        return None
    return np.round(f_c / norm, _DIGITS).tolist()


def check(
    network: Callable[[np.ndarray], Any],
    n_bins: int,
    facts: JsonObject,
    path: Path,
) -> None:
    """Compare a loaded network's answer to the probe with the recorded one.

    Args:
        network: as of `answer`.
        n_bins: height of its features.
        facts: what was saved with it; files of older versions hold no probe.
        path: its file.

    Raises:
        EncoderError: the embeddings differ.
    """
    recorded = facts.get(PROBE)
    if recorded is None:
        return
    found = answer(network, n_bins)
    try:
        expected = np.asarray(recorded, np.float64)
        cosine = float(np.asarray(found, np.float64) @ expected)
    except (TypeError, ValueError):
        cosine = float("nan")
    least = _LEAST.get(str(facts.get("precision")), _LEAST_OTHERWISE)
    if not cosine >= least:
        raise EncoderError(
            f"{path}: does not give the embedding that was recorded when it was saved "
            f"(cosine {cosine:.3f}, expected {least} or more); it is damaged, or was "
            "loaded in part only"
        )
