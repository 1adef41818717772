"""How often is a clip identified, by its length?

    python -m benchmarks.accuracy.identification [--encoder NAME_OR_RUN]

The embedded set's test works are put into a catalogue; clips of their recordings are
asked for, as `identify` would, with the recording that they were cut from left out.
Audio of all of them does not exist, so a clip is cut from features. Probabilities are
those that `identify` gives with this encoder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.common.labelled import (
    LENGTHS,
    POOL,
    SECONDS,
    Labelled,
    clip,
    length_name,
    read_tunes,
)
from benchmarks.common.report import table, write_section
from bytecover_tf.audio.chroma import chroma_of_cqt
from bytecover_tf.catalogues import Catalogue, Identity, Recording, open_catalogue
from bytecover_tf.catalogues.segments import Segmenting, embed_rows
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.encoders.pretrained import DEFAULT
from bytecover_tf.errors import AudioError
from bytecover_tf.matching.calibration import Pairs, choose_calibration
from bytecover_tf.matching.calibration_fit import measure
from bytecover_tf.matching.fitting import Labels, quality
from bytecover_tf.matching.identification import Query
from bytecover_tf.stores.extraction import Extracted

STAGES = ("embedding", "alignment", "both")


def fill(catalogue: Catalogue, encoder: Encoder, items: list[Labelled]) -> None:
    """Put recordings into a catalogue."""
    recordings, extracted = [], []
    for number, item in enumerate(items):
        recordings.append(_recording(number, item))
        features = encoder.frontend.from_cqt(item.cqt, POOL, item.name)
        chroma = chroma_of_cqt(item.cqt, POOL)
        extracted.append(Extracted(item.name, 0, 0, features, chroma))
    rows, failed = embed_rows(encoder, recordings, extracted, Segmenting())
    assert not failed
    catalogue.add(rows)


def queries(
    encoder: Encoder,
    items: list[Labelled],
    seconds: float | None,
    most: int,
) -> Iterator[tuple[Recording, Query]]:
    """Yield clips of recordings chosen at random."""
    rng = np.random.default_rng(0)
    for number in rng.permutation(len(items))[:most]:
        item = items[number]
        part = clip(item.cqt, seconds, rng)
        try:
            features = encoder.frontend.from_cqt(part, POOL, item.name)
        except AudioError:  # a silent clip
            continue
        query = Query(item.name, features, chroma_of_cqt(part, POOL))
        yield _recording(number, item), query


def _recording(number: int, item: Labelled) -> Recording:
    return Recording(
        id=f"{number:016x}",
        work=item.work,
        title=item.name,
        artist="",
        album="",
        path=item.name,
        duration=item.cqt.shape[1] * SECONDS,
        content=item.name,
        size=0,
        mtime_ns=0,
    )


def first_is_right(values: np.ndarray, labels: Labels) -> float:
    """Return the share of queries whose best candidate is a version; ties are lost."""
    positive = values - values.min() + 1
    _, query = np.unique(labels.query, return_inverse=True)
    strangers, _ = labels.strangers(positive)
    versions = np.zeros(len(strangers))
    np.maximum.at(versions, query, np.where(labels.is_version, positive, 0))
    return float(np.mean(versions > strangers))


def detection(values: np.ndarray, labels: Labels) -> float:
    """Return the share of versions found where 1 % of queries without one alarm."""
    positive = values - values.min() + 1
    strangers, _ = labels.strangers(positive)
    versions = labels.is_version
    reached = positive[versions] > np.quantile(strangers, 0.99)
    return float(np.average(reached, weights=labels.weights[versions]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default=DEFAULT)
    parser.add_argument(
        "--queries", type=int, default=200, help="number of queries of each length"
    )
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    identity = Identity.of(encoder, options.encoder)

    def measured(
        items: list[Labelled], seconds: float | None
    ) -> tuple[Pairs, Labels, float]:
        """Return pairs, labels, and seconds a query takes."""
        with (
            tempfile.TemporaryDirectory() as folder,
            open_catalogue(folder, identity, create=True) as catalogue,
        ):
            fill(catalogue, encoder, items)
            asked = list(queries(encoder, items, seconds, options.queries))
            start = time.perf_counter()
            pairs, labels = measure(catalogue, encoder, asked, len(items))
            return pairs, labels, (time.perf_counter() - start) / len(asked)

    calibration = choose_calibration(identity.encoder, options.encoder)
    test = read_tunes()
    rows = []
    for seconds in LENGTHS:
        pairs, labels, elapsed = measured(test, seconds)
        probability = calibration.probability(pairs)
        figures = quality(calibration, pairs, labels)
        stages = (pairs.similarity, pairs.score, probability)
        rows.append(
            [
                length_name(seconds),
                *(f"{first_is_right(stage, labels):.2f}" for stage in stages),
                *(f"{detection(stage, labels):.2f}" for stage in stages),
                f"{figures['found']:.2f}",
                f"{figures['false_versions']:.3f}",
                f"{figures['calibration_error']:.3f}",
                f"{elapsed * 1e3:.0f}",
            ]
        )
        print(rows[-1], flush=True)
    body = (
        f"A catalogue of the {len(test)} test recordings of `tunes` "
        f"({len({item.work for item in test})} works, 5 versions each, 78 s in the "
        f"median). For each length, {options.queries} clips were cut at random from "
        "the features of its recordings, not from audio. The recording that a clip "
        f"comes from is left out of its search. All {len(test)} are aligned. The "
        f"encoder is `{options.encoder}`; {calibration}. Milliseconds are those of "
        "embedding, search, reading and alignment for one query.\n\n"
        + table(
            [
                "query",
                *(f"first match right, {stage}" for stage in STAGES),
                *(f"found at 1 % false alarms, {stage}" for stage in STAGES),
                "verdict `version`",
                "false `version`",
                "calibration error",
                "ms",
            ],
            rows,
        )
    )
    write_section(
        "calibration",
        "Identification by length of the query",
        "python -m benchmarks.accuracy.identification",
        body,
    )


if __name__ == "__main__":
    main()
