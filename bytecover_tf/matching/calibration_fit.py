"""Fitting an encoder's own calibration on a catalogue whose works are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.hearing import Hearing
from bytecover_tf.catalogues.catalogue import Catalogue, check_in_place
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.encoders.pretrained import is_pretrained_name
from bytecover_tf.errors import AudioError, ConfigError, DataError
from bytecover_tf.matching.calibration import Calibration, Pairs, calibration_beside
from bytecover_tf.matching.decisions import Pair, pair_of
from bytecover_tf.matching.fitting import Labels, fit
from bytecover_tf.matching.identification import Comparison, Query, align_candidates
from bytecover_tf.progress import progress_bar

CLIPS = (None, 60.0, 30.0, 20.0, 10.0)
"""Lengths in seconds of the queries made of a recording; None is all of it."""

QUERIES = 300


def calibrate(
    catalogue: Catalogue,
    encoder: Encoder,
    queries: int = QUERIES,
    workers: int | None = None,
    accepted: Collection[Pair] = (),
    undecided: Collection[Pair] = (),
) -> tuple[Calibration, dict[str, str]]:
    """Fit a calibration of an encoder.

    Recordings of works with several versions become queries, as a whole or as clips of
    10 to 60 seconds, and are compared as `identify` would compare them. The encoder
    must not have been trained on these works.

    Args:
        catalogue: made with the encoder. It must hold recordings with the names of
            their works, whose files are still where they were.
        encoder: to be calibrated.
        queries: the largest number of recordings to query, chosen at random.
        workers: threads; by default one per core.
        accepted: pairs that a person says are versions; their works count as known
            even if they have no names.
        undecided: pairs that a person has not decided about yet; they count neither
            as versions nor as others.

    Returns:
        The calibration, and by path the reason why a recording was left out.

    Raises:
        CatalogueError: the catalogue cannot be read.
        DataError: no work has several versions, or none could be read.
    """
    chosen = _versions(catalogue, accepted)
    if not chosen:
        raise DataError(
            f"{catalogue.address}: a calibration needs works with several recordings; "
            "index a manifest that names the works"
        )
    rng = np.random.default_rng(0)
    chosen = [chosen[index] for index in rng.permutation(len(chosen))[:queries]]
    failed: dict[str, str] = {}
    identity = catalogue.identity
    hearing = identity.load_hearing(catalogue.address)
    read = _read(chosen, encoder, hearing, rng, failed)
    try:
        pairs, labels = measure(
            catalogue, encoder, read, workers=workers, undecided=undecided
        )
    except DataError as error:
        reasons = list(failed.values())
        if not reasons:
            raise
        raise DataError(
            f"{error}; {len(reasons)} of {len(chosen)} could not be read, such as "
            f"{reasons[0]}"
        ) from None
    fitted = fit(pairs, labels, catalogue.address, identity.encoder, identity.parts)
    return fitted, failed


def place_beside(encoder_path: str, parts: int) -> Path:
    """Return where `identify` will look for the calibration of one's own encoder.

    Args:
        encoder_path: what `load_encoder` takes.
        parts: of the chroma that is aligned.

    Raises:
        ConfigError: the encoder came with the package.
    """
    if is_pretrained_name(encoder_path):
        raise ConfigError(
            f"{encoder_path} came with the package; name a file of your own with --out"
        )
    return calibration_beside(encoder_path, parts)


def describe(fitted: Calibration) -> str:
    """Return in some lines what a calibration was fitted on, and how well it fits."""
    figures = fitted.origin
    return (
        f"{figures['queries']} queries, {figures['pairs']} pairs, of which "
        f"{figures['versions']} of versions\n"
        f"calibration error {figures['calibration_error']:.3f}, "
        f"Brier score {figures['brier']:.3f}\n"
        f"version from {fitted.version:.2f}: {figures['found']:.0%} of versions found, "
        f"{figures['false_versions']:.0%} false alarms\n"
        f"unsure from {fitted.unsure:.2f}: {figures['noticed']:.0%} of versions "
        f"noticed, {figures['false_alarms']:.0%} false alarms"
    )


def measure(
    catalogue: Catalogue,
    encoder: Encoder,
    queries: Iterable[tuple[Recording, Query]],
    candidates: int | None = None,
    workers: int | None = None,
    undecided: Collection[Pair] = (),
) -> tuple[Pairs, Labels]:
    """Compare recordings of a catalogue with the others in it.

    Args:
        catalogue: what to search.
        encoder: made the catalogue.
        queries: what to compare, each made of a recording of the catalogue.
        candidates: how many recordings to compare each with, as in `identify`.
        workers: threads; by default one per core.
        undecided: pairs to leave out, as in `calibrate`.

    Returns:
        All pairs of a query and a candidate, except the query's own recording.

    Raises:
        AudioError: a query cannot be embedded.
        DataError: there are no pairs.
    """
    among = catalogue.count()
    rows = [
        (*measured, number, other.work == recording.work)
        for number, (recording, query) in enumerate(queries)
        for other, *measured in _candidates(
            align_candidates(catalogue, encoder, query, among, candidates, workers)
        )
        if other.id != recording.id and pair_of(other.id, recording.id) not in undecided
    ]
    if not rows:
        raise DataError(f"{catalogue.address}: no recordings could be compared")
    score, similarity, disparity, query, is_version = map(
        np.array, zip(*rows, strict=True)
    )
    pairs = Pairs(score, similarity, disparity, among)
    return pairs, Labels(query, is_version)


def _candidates(
    compared: Comparison,
) -> Iterator[tuple[Recording, float, float, float]]:
    """Yield each candidate with its score, similarity and disparity."""
    pairs = compared.pairs
    return zip(
        compared.recordings,
        pairs.score.tolist(),
        pairs.similarity.tolist(),
        pairs.disparity.tolist(),
        strict=True,
    )


def _versions(catalogue: Catalogue, accepted: Iterable[Pair]) -> list[Recording]:
    """Return the recordings of known works that have several, in order."""
    said = {name for pair in accepted for name in pair}
    recordings = sorted(catalogue.recordings(), key=lambda recording: recording.id)
    versions = Counter(recording.work for recording in recordings)
    return [
        recording
        for recording in recordings
        if versions[recording.work] > 1
        and (recording.has_named_work or recording.id in said)
    ]


def _read(
    recordings: Sequence[Recording],
    encoder: Encoder,
    hearing: Hearing | None,
    rng: np.random.Generator,
    failed: dict[str, str],
) -> Iterator[tuple[Recording, Query]]:
    """Yield a query for each file; note in `failed` why a file has none."""
    bar = progress_bar(recordings, unit="query", desc="calibrate")
    for number, recording in enumerate(bar):
        try:
            check_in_place(recording)
            seconds = CLIPS[number % len(CLIPS)]
            query = _query(recording, encoder, hearing, seconds, rng)
        except (AudioError, DataError) as error:
            failed[recording.path] = str(error)
            continue
        yield recording, query


def _query(
    recording: Recording,
    encoder: Encoder,
    hearing: Hearing | None,
    seconds: float | None,
    rng: np.random.Generator,
) -> Query:
    frontend = encoder.frontend
    # `index` has taken what is there of truncated files.
    if seconds is None or recording.path.lower().endswith(".npy"):
        return Query.read(recording.path, frontend, hearing, allow_truncated=True)
    samples = load_audio(recording.path, frontend.sample_rate, allow_truncated=True)
    count = int(seconds * frontend.sample_rate)
    start = rng.integers(max(len(samples) - count, 0) + 1)
    clip = samples[start : start + count]
    return Query.of_samples(clip, frontend, recording.path, hearing)
