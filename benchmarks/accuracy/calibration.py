"""How sure is alignment, alone or with an encoder, and is it right about that?

    python -m benchmarks.accuracy.calibration --source DIR [--encoder NAME] [--write]

DIR holds `cqt_mean20.npz`, one (84, T) array of |CQT| averaged over 20 frames for
each recording of a national anthem, and `recordings.csv` with recording, work and
split. Fits the calibration on the train and validation splits, measures it on the test
split, by the lengths of query and recording, and with --write stores it as what comes
with the package: for any encoder, or for the one named, which must not have been
trained on these recordings. Aligning all takes some minutes; --cache keeps the scores,
which are the same for every encoder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.common.aligned import aligned
from benchmarks.common.labelled import (
    LENGTHS,
    SECONDS,
    Labelled,
    clip,
    length_name,
    read_anthems,
)
from benchmarks.common.report import table, write_section
from bytecover_tf.audio.chroma import chroma_of_cqt
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.matching import calibration, fitting
from bytecover_tf.matching.calibration import Pairs
from bytecover_tf.matching.fitting import Labels

FITTED_ON, MEASURED_ON = ("train", "validation"), ("test",)
# What `compare` should hardly ever say of strangers.
_SURE = 0.9


@dataclass(frozen=True)
class Condition:
    """What of each recording is compared with what of the others.

    Attributes:
        seconds: of the query; None is the whole recording.
        is_short: whether the others are as short as the query. Both are then the
            beginnings of their recordings, which versions share; else the query is a
            clip from anywhere.
    """

    seconds: float | None
    is_short: bool

    @property
    def name(self) -> str:
        """What a table calls it."""
        length = length_name(self.seconds)
        return f"{length}, of as short ones" if self.is_short else length

    def parts(
        self, recordings: Sequence[Labelled]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return |CQT| of the queries, and of what they are compared with."""
        whole = [item.cqt for item in recordings]
        if self.is_short:
            assert self.seconds is not None
            starts = [cqt[:, : round(self.seconds / SECONDS)] for cqt in whole]
            return starts, starts
        rng = np.random.default_rng(0)
        return [clip(cqt, self.seconds, rng) for cqt in whole], whole


CONDITIONS = [
    *(Condition(seconds, False) for seconds in LENGTHS),
    *(Condition(seconds, True) for seconds in LENGTHS if seconds),
]


def compared(
    recordings: Sequence[Labelled],
    condition: Condition,
    encoder: Encoder | None,
    cache: Path | None,
) -> tuple[Pairs, Labels]:
    """Compare each recording with all others."""
    parts, references = condition.parts(recordings)
    works = np.array([item.work for item in recordings])
    frames = [np.array([cqt.shape[1] for cqt in cqts]) for cqts in (parts, references)]
    others = ~np.eye(len(recordings), dtype=bool)
    queries, folded = (
        [chroma_of_cqt(cqt, 20) for cqt in cqts] for cqts in (parts, references)
    )
    pairs = Pairs(
        aligned(queries, folded, cache)[others],
        (_embed(encoder, parts) @ _embed(encoder, references).T)[others],
        Pairs.disparity_of(frames[0][:, np.newaxis], frames[1])[others],
        len(recordings),
    )
    return pairs, Labels(np.nonzero(others)[0], np.equal.outer(works, works)[others])


def joined(measured: Sequence[tuple[Pairs, Labels]]) -> tuple[Pairs, Labels]:
    """Put the pairs of several conditions together, each with queries of its own."""
    pairs, labels = zip(*measured, strict=True)
    first = np.cumsum([0, *(one.query.max() + 1 for one in labels)])
    return Pairs(
        np.concatenate([one.score for one in pairs]),
        np.concatenate([one.similarity for one in pairs]),
        np.concatenate([one.disparity for one in pairs]),
        np.concatenate([np.broadcast_to(one.among, one.score.shape) for one in pairs]),
    ), Labels(
        np.concatenate([one.query + n for one, n in zip(labels, first, strict=False)]),
        np.concatenate([one.is_version for one in labels]),
    )


def _embed(encoder: Encoder | None, cqts: list[np.ndarray]) -> np.ndarray:
    """Return embeddings of |CQT| at pool 20, or zeros without an encoder."""
    if encoder is None:
        return np.zeros((len(cqts), 1), np.float32)
    heard = [number for number, cqt in enumerate(cqts) if cqt.any()]
    features = [encoder.frontend.from_cqt(cqts[number], 20) for number in heard]
    embedded = np.zeros((len(cqts), encoder.dim), np.float32)  # of silent clips
    embedded[heard] = encoder.embed_features(features)
    assert not encoder.errors
    return embedded


def by_itself(
    fitted: calibration.Calibration, pairs: Pairs, labels: Labels
) -> tuple[float, float]:
    """Measure pairs that are compared by themselves, as `compare` does.

    Returns:
        The Brier score if versions and strangers are equally likely, and the share of
        strangers that get a probability of 0.9 or more.
    """
    probability = fitted.probability(replace(pairs, among=1))
    versions = labels.is_version
    error = (probability - versions) ** 2
    brier = np.average(error[versions], weights=labels.weights[versions])
    return (
        float(brier + error[~versions].mean()) / 2,
        float(np.mean(probability[~versions] >= _SURE)),
    )


def cells(fitted: calibration.Calibration, pairs: Pairs, labels: Labels) -> list[str]:
    """Return what a row of the table says of a condition."""
    figures = fitting.quality(fitted, pairs, labels)
    shares = ("found", "noticed", "false_versions", "false_alarms")
    brier, sure = by_itself(fitted, pairs, labels)
    return [
        *(f"{figures[share]:.2f}" for share in shares),
        f"{figures['calibration_error']:.3f}",
        f"{figures['brier']:.3f}",
        f"{brier:.3f}",
        f"{sure:.4f}",
    ]


HEADER = [
    "query",
    "version found",
    "at least unsure",
    "false `version`",
    "false `version` or `unsure`",
    "calibration error",
    "Brier",
    "Brier, two by themselves",
    "strangers from 0.9, two by themselves",
]


def _splits(names: Sequence[str]) -> str:
    return " and ".join(names) + (" splits" if len(names) > 1 else " split")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--encoder", help="encoder whose similarities count too")
    parser.add_argument("--cache", type=Path, help="folder that keeps alignment scores")
    parser.add_argument("--write", action="store_true", help="keep the new calibration")
    options = parser.parse_args()
    encoder = load_encoder(options.encoder) if options.encoder else None
    checksum = Identity.of(encoder, options.encoder).encoder if encoder else ""

    def measured(splits: Sequence[str]) -> list[tuple[Pairs, Labels]]:
        recordings = [
            item for split in splits for item in read_anthems(options.source, split)
        ]
        return [
            compared(recordings, condition, encoder, options.cache)
            for condition in CONDITIONS
        ]

    known, test = measured(FITTED_ON), measured(MEASURED_ON)
    data = f"the {_splits(FITTED_ON)} of national anthems"
    fitted = fitting.fit(*joined(known), data, checksum)
    rows = [
        [condition.name, *cells(fitted, *figures)]
        for condition, figures in zip(CONDITIONS, test, strict=True)
    ]
    bins = fitting.quality(fitted, *joined(test))["reliability"]
    body = (
        "Real recordings of national anthems, aligned "
        + (f"and embedded by `{options.encoder}`" if encoder else "without any encoder")
        + f". Fitted on {known[0][0].among} recordings of the {_splits(FITTED_ON)} at "
        f"all lengths, measured on {test[0][0].among} of the {_splits(MEASURED_ON)}, "
        "each queried once with one of its versions among the others and once "
        "without any. Queries are compared with whole recordings, or with others "
        f"that are as short (the beginnings of both). Log-odds: {fitted.formula}; "
        f"`version` from probability {fitted.version:.2f}, `unsure` from "
        f"{fitted.unsure:.2f}; without a version, at most 1 % and 5 % of the queries "
        "in the fit reached these (`version` is never below 0.5). The last two "
        "columns measure pairs by themselves, as `compare` sees them, with versions "
        "and strangers equally likely.\n\n"
        + table(HEADER, rows)
        + f"\n\nBest match of a query, all lengths of the {_splits(MEASURED_ON)}:\n\n"
        + table(
            ["mean probability", "share right", "queries"],
            [[f"{mean:.3f}", f"{right:.3f}", f"{n:.0f}"] for mean, right, n in bins],
        )
    )
    command = "python -m benchmarks.accuracy.calibration --source DIR"
    if encoder:
        title = f"Calibration of {Path(options.encoder).name} with alignment"
        write_section(
            "calibration", title, f"{command} --encoder {options.encoder}", body
        )
    else:
        write_section("calibration", "Calibration of alignment", command, body)
    if options.write:
        path = (
            calibration.calibration_beside(options.encoder)
            if encoder
            else Path(calibration.__file__).with_name(calibration.file_name(1))
        )
        fitted.save(path)
        print(f"written: {path}")


if __name__ == "__main__":
    main()
