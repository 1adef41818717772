"""Alignment scores of many pairs, kept on disk, as they take minutes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bytecover_tf.audio import chroma, streaming
from bytecover_tf.catalogues.packing import pack, unpack
from bytecover_tf.files import write_atomically
from bytecover_tf.matching import alignment, best_paths
from bytecover_tf.matching.alignment import align_many
from bytecover_tf.matching.screening import SECOND_LOOKS
from bytecover_tf.progress import progress_bar


def aligned(
    queries: Sequence[np.ndarray],
    references: Sequence[np.ndarray],
    cache: Path | None = None,
) -> np.ndarray:
    """Return the score of each query with each reference.

    Args:
        queries: uint8 chroma (12 * parts, n) each.
        references: uint8 chroma (12 * parts, m) each, compared as a catalogue gives
            them back.
        cache: folder that keeps scores; the same chroma and alignment find them.

    Returns:
        float64 (queries, references).
    """
    kept = [unpack(pack(one), len(one) // 12) for one in references]
    digest = hashlib.sha256()
    for module in (alignment, best_paths, streaming):
        digest.update(Path(module.__file__).read_bytes())
    for parts in {len(one) // 12 for one in (*queries, *kept)}:
        digest.update(chroma.part_weights(parts))
        digest.update(chroma.overall_weights(parts))
    for side in (queries, kept):
        digest.update(f"{[one.shape for one in side]}".encode())
        for one in side:
            digest.update(np.ascontiguousarray(one))
    file = cache and cache / f"{digest.hexdigest()}.npy"
    if file and file.exists():
        return np.load(file)
    scores = np.array(
        [
            [found.score for found in align_many(one, kept)]
            for one in progress_bar(queries, unit="query", desc="align")
        ]
    )
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.save(content, scores)
        write_atomically(file, content.getvalue())
    return scores


def aligned_clips(
    queries: Sequence[np.ndarray],
    later: Sequence[np.ndarray | None],
    references: Sequence[np.ndarray],
    cache: Path | None = None,
) -> np.ndarray:
    """Return the scores that `identify` gives, which aligns clips from two beginnings.

    Args:
        queries: as `aligned` takes them, and so are the others.
        later: of each query, its chroma from the second beginning, or None.
        references: what to align with.
        cache: folder that keeps scores.

    Returns:
        float64 (queries, references).
    """
    scores = aligned(queries, references, cache)
    clips = [number for number, one in enumerate(later) if one is not None]
    if clips:
        again = aligned([one for one in later if one is not None], references, cache)
        best = np.argsort(-scores[clips], axis=1, kind="stable")[:, :SECOND_LOOKS]
        rows = np.array(clips)[:, np.newaxis]
        mean = (scores[rows, best] + np.take_along_axis(again, best, axis=1)) / 2
        scores[rows, best] = mean
    return scores
