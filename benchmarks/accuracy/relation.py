"""Is a version another copy of one performance, or another performance?

    python -m benchmarks.accuracy.relation --recordings DIR --source DIR [--write]

Recordings are made anew as `synth.rerecord` does: in another room and on another
medium, begun and ended elsewhere, but at their own key and tempo. Against them stand
versions: the same recordings at a tempo that differs by 2 to 10 %, and the songs of
the set `folk` (role `dev`) as several people sing and play them, where these match in
the same key. A logistic function of `matching.relation.straightness` is fitted on half
of the recordings and works and measured on the other half. The copies in `folk` (role
`duplicate`) are not fitted on. With --write the fit on all of them becomes that of the
package.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.accuracy.covers import Item, read
from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.data.files import recordings
from bytecover_tf.errors import AudioError
from bytecover_tf.files import write_atomically
from bytecover_tf.matching import relation
from bytecover_tf.matching.alignment import align
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.labelled_store import LabelledStore
from bytecover_tf.synth.sound.sound_effects import SAMPLE_RATE, record, release
from bytecover_tf.synth.sound.takes import RAGGED, Take, play

PASSAGE_SECONDS, SHORTEST_SECONDS = 85.0, 30.0
# By how much another performance is slower or faster, at least and at most.
TEMPO = (0.02, 0.1)
# Of these, a twentieth of the weight makes a curve that is no step.
_RIDGE = 1e-3


def straight(one: np.ndarray, other: np.ndarray) -> float:
    """Return the straightness of the best match of two recordings' chroma."""
    return relation.straightness(one, other, align(one, other))


def remade(paths: list[Path], seed: int = 0) -> Iterator[tuple[int, float, bool]]:
    """Yield number, straightness and sameness of recordings with what is made of them.

    Each is paired with a copy, and with itself at another tempo.
    """
    frontend = Frontend(pool=20)

    def chroma(samples: np.ndarray) -> np.ndarray:
        return frontend.features_with_chroma(samples, hearing=DEFAULT_HEARING)[1]

    for number, path in enumerate(progress_bar(paths, unit="recording")):
        rng = np.random.default_rng([seed, number])
        try:
            samples = load_audio(path, SAMPLE_RATE)
        except AudioError:
            continue
        if len(samples) < SHORTEST_SECONDS * SAMPLE_RATE:
            continue
        passage = samples[: round(PASSAGE_SECONDS * SAMPLE_RATE)]
        itself = chroma(passage)
        change = float(rng.uniform(*TEMPO) * rng.choice([-1, 1]))
        for is_same, tempo in ((True, 1.0), (False, 1 + change)):
            take = Take(
                start=float(rng.uniform(0, RAGGED)),
                stop=float(rng.uniform(1 - RAGGED, 1)),
                tempo=tempo,
            )
            sound = release(record(play(passage, take), rng), rng)
            yield number, straight(itself, chroma(sound)), is_same


def versions(items: list[Item]) -> Iterator[tuple[str, float, bool]]:
    """Yield work, straightness and sameness of all pairs of one work."""
    for index, one in enumerate(items):
        for other in items[index + 1 :]:
            if one.work == other.work:
                yield one.work, straight(one.heard, other.heard), False


def fit(x: np.ndarray, is_same: np.ndarray) -> tuple[float, float]:
    """Return bias and weight of a logistic regression; both kinds count alike.

    Args:
        x: straightness (n,).
        is_same: bool (n,).
    """
    from scipy.optimize import minimize

    counts = np.where(is_same, 1 / is_same.sum(), 1 / (~is_same).sum())

    def loss(values: np.ndarray) -> float:
        odds = values[0] + values[1] * x
        surprise = np.logaddexp(0, np.where(is_same, -odds, odds))
        return float(counts @ surprise + _RIDGE * values[1] ** 2 / 2)

    bias, weight = minimize(loss, np.zeros(2)).x
    return float(bias), float(weight)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--count", type=int, default=80, help="number of recordings")
    parser.add_argument("--write", action="store_true", help="keep the fit")
    options = parser.parse_args()
    store = LabelledStore(options.source)
    folk = read(store, lambda one: (one.set, one.role) == ("folk", "dev"))
    copies = read(store, lambda one: (one.set, one.role) == ("folk", "duplicate"))
    paths = recordings(options.recordings)
    rng = np.random.default_rng(0)
    chosen = [paths[i] for i in rng.permutation(len(paths))[: options.count]]
    made = list(remade(chosen))
    sung = list(versions(folk))
    names = [*(name for name, _, _ in made), *(name for name, _, _ in sung)]
    x, is_same = (
        np.array([one[column] for one in [*made, *sung]]) for column in (1, 2)
    )
    half = np.array([hash_of(name) % 2 == 0 for name in names])
    # What is in another key needs no fit.
    usable = x > -1
    bias, weight = fit(x[half & usable], is_same[half & usable])
    kinds = np.array(
        ["copy" if same else "tempo" for _, _, same in made] + ["sung"] * len(sung)
    )
    rows = []
    for kind, name in (
        ("copy", "recordings made anew"),
        ("tempo", "the same at another tempo"),
        ("sung", "other performances of songs"),
    ):
        part = x[~half & (kinds == kind)]
        rows.append([name, *_figures(part, bias, weight)])
    pairs = np.array(
        [
            max(
                straight(one.heard, other.heard) for other in folk if other.work == work
            )
            for one in copies
            for work in [one.work]
            if any(other.work == work for other in folk)
        ]
    )
    rows.append(["copies found on the web", *_figures(pairs, bias, weight)])
    for line in rows:
        print(*line)
    held = ~half
    probability = np.where(x > -1, 1 / (1 + np.exp(-(bias + weight * x))), 0)[held]
    brier = np.mean(
        [
            np.mean((probability[is_same[held] == kind] - kind) ** 2)
            for kind in (True, False)
        ]
    )
    bias, weight = fit(x[usable], is_same[usable])
    body = (
        "Of pairs that the fit was not made on, how straight their matches are (median "
        "and tenths at both ends; of those in the same key), and how many are called "
        f"`same performance`. Brier score of the two kinds {brier:.3f}. The fit on "
        f"all: log-odds {bias:.2f} + {weight:.2f} straightness.\n\n"
        + table(
            ["pairs", "number", "straightness", "called `same performance`"],
            rows,
        )
    )
    command = command_of("accuracy.relation", parser, options)
    write_section("calibration", "Kinds of relation", command, body)
    if options.write:
        values = {
            "bias": bias,
            "weight": weight,
            "origin": {
                "data": "recordings made anew by synth.rerecord, against these at "
                "another tempo and sung songs",
                "date": datetime.date.today().isoformat(),
                "same": int(is_same[usable].sum()),
                "versions": int((~is_same[usable]).sum()),
                "brier": round(float(brier), 4),
            },
        }
        path = Path(relation.__file__).with_name(relation.FILE_NAME)
        write_atomically(path, json.dumps(values, indent=1) + "\n")
        print(f"written: {path}")


def hash_of(name: object) -> int:
    """Return a number that stays the same from run to run."""
    import zlib

    return zlib.crc32(str(name).encode())


def _figures(x: np.ndarray, bias: float, weight: float) -> list[str]:
    straight = x[x > -1] if (x > -1).any() else [np.nan]
    low, middle, high = np.quantile(straight, [0.1, 0.5, 0.9])
    called = (x > -1) & (bias + weight * x >= 0)
    return [
        str(len(x)),
        f"{middle:.2f} ({low:.2f} to {high:.2f})",
        f"{called.mean():.0%}",
    ]


if __name__ == "__main__":
    main()
