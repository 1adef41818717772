"""How sure is alignment, alone or with an encoder, and is it right about that?

    python -m benchmarks.calibration --source DIR [--encoder NAME] [--write]

DIR holds `cqt_mean20.npz`, one (84, T) array of |CQT| averaged over 20 frames for
each recording of a national anthem, and `recordings.csv` with recording, work and
split. Fits the calibration on the train and validation splits, on whole recordings and
clips of several lengths, measures it on the test split by length, and with --write
stores it as what comes with the package: for any encoder, or for the one named, which
must not have been trained on these recordings.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.labelled import (
    LENGTHS,
    SECONDS,
    Labelled,
    Lengths,
    clip,
    length_name,
    read_anthems,
)
from benchmarks.report import table, write_section
from bytecover_tf.chroma import chroma_of_cqt
from bytecover_tf.encoder import Encoder, load_encoder
from bytecover_tf.retrieval import calibration
from bytecover_tf.retrieval.alignment import align_many
from bytecover_tf.retrieval.calibration import Labels, Pairs
from bytecover_tf.retrieval.identity import Identity
from bytecover_tf.retrieval.packing import pack, unpack


def aligned(
    recordings: list[Labelled], lengths: Lengths, encoder: Encoder | None
) -> tuple[Pairs, Labels]:
    """Compare clips of each recording, one of each length, with all others."""
    rng = np.random.default_rng(0)
    # As a catalogue gives them back.
    references = [unpack(pack(chroma_of_cqt(item.cqt, 20))) for item in recordings]
    works = np.array([item.work for item in recordings])
    frames = np.array([item.cqt.shape[1] for item in recordings])
    embeddings = _embed(encoder, [item.cqt for item in recordings])
    scores, shorter, similar, queries, versions = [], [], [], [], []
    for number, seconds in product(range(len(recordings)), lengths):
        part = clip(recordings[number].cqt, seconds, rng)
        found = align_many(chroma_of_cqt(part, 20), references)
        others = np.arange(len(recordings)) != number
        scores.append(np.array([alignment.score for alignment in found])[others])
        shorter.append(np.minimum(frames, part.shape[1])[others] * SECONDS)
        similar.append((embeddings @ _embed(encoder, [part])[0])[others])
        queries.append(np.full(others.sum(), len(queries)))
        versions.append((works == works[number])[others])
    score = np.concatenate(scores)
    labels = Labels(np.concatenate(queries), np.concatenate(versions))
    pairs = Pairs(
        score, np.concatenate(shorter), np.concatenate(similar), len(recordings)
    )
    return pairs, labels


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--encoder", help="whose similarities count too")
    parser.add_argument("--write", action="store_true", help="keep the new calibration")
    options = parser.parse_args()
    encoder = load_encoder(options.encoder) if options.encoder else None
    checksum = Identity.of(encoder, options.encoder).encoder if encoder else ""
    splits = {
        split: read_anthems(options.source, split)
        for split in ("train", "validation", "test")
    }
    known = splits["train"] + splits["validation"]
    data = "the train and validation splits of national anthems"
    fitted = calibration.fit(*aligned(known, LENGTHS, encoder), data, checksum)
    print(fitted, fitted.origin)

    rows = []
    for seconds in LENGTHS:
        pairs, labels = aligned(splits["test"], (seconds,), encoder)
        figures = calibration.quality(fitted, pairs, labels)
        shares = ("found", "noticed", "false_versions", "false_alarms")
        rows.append(
            [
                length_name(seconds),
                *(f"{figures[share]:.2f}" for share in shares),
                f"{figures['calibration_error']:.3f}",
                f"{figures['brier']:.3f}",
            ]
        )
    body = (
        "Real recordings of national anthems, aligned "
        + (f"and embedded by `{options.encoder}`" if encoder else "without any encoder")
        + ". Fitted on "
        f"{len(known)} recordings of the train and validation splits at all lengths, "
        f"measured on {len(splits['test'])} of the test split, each asked once with "
        "one of its versions among the others and once without any. Log-odds: "
        f"{fitted.bias:.2f} + {fitted.score:.2f} score / cube root of the "
        "seconds of the shorter "
        + (f"+ {fitted.similarity:.2f} similarity " if encoder else "")
        + "- log(recordings); "
        f"`version` from probability {fitted.version:.2f}, `unsure` from "
        f"{fitted.unsure:.2f}, which at most 1 % and 5 % of the queries of the fit "
        "reached without a version.\n\n"
        + table(
            [
                "query",
                "version found",
                "at least unsure",
                "false `version`",
                "false `version` or `unsure`",
                "calibration error",
                "Brier",
            ],
            rows,
        )
    )
    command = "python -m benchmarks.calibration --source DIR"
    if encoder:
        title = f"Calibration of {Path(options.encoder).name} with alignment"
        write_section(title, f"{command} --encoder {options.encoder}", body)
    else:
        write_section("Calibration of alignment", command, body)
    if options.write:
        path = (
            calibration.calibration_beside(options.encoder)
            if encoder
            else Path(calibration.__file__).with_name(calibration.FILE_NAME)
        )
        fitted.save(path)
        print(f"written: {path}")


if __name__ == "__main__":
    main()
