"""What do encoders and `identify` survive?

    python -m benchmarks.accuracy.robustness --pop909 ZIP [--works 24]

Each work is a song of POP909 in two versions, arranged and rendered anew: other
players, key, tempo and room. One version of each work is in the library, along with
strangers. The other version is the query: as it is, then changed in one way after
another. FluidSynth and the extra `synth` are needed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.aligned import aligned_clips
from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.cli.repertoire import excerpt
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.matching.calibration import (
    LEAST,
    Calibration,
    Pairs,
    calibration_for,
)
from bytecover_tf.matching.identification import Query
from bytecover_tf.matching.screening import align_likely
from bytecover_tf.metrics import score_queries
from bytecover_tf.progress import progress_bar
from bytecover_tf.synth.playing.versions import list_versions
from bytecover_tf.synth.scores.pop909 import list_songs, read_song
from bytecover_tf.synth.scores.works import Work
from bytecover_tf.synth.sound.perform import perform
from bytecover_tf.synth.sound.sound_effects import SAMPLE_RATE
from bytecover_tf.synth.sound.takes import Take, play

ENCODERS = ("bytecover-small", "bytecover-base")
# The one that `identify` uses by default.
_DEFAULT = ENCODERS[1]

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def transposed(semitones: float) -> Change:
    """Change the key alone."""
    return lambda sound, rng: play(sound, Take(semitones=semitones))


def stretched(tempo: float) -> Change:
    """Change the tempo alone."""
    return lambda sound, rng: play(sound, Take(tempo=tempo))


def faster(ratio: float) -> Change:
    """Play at another speed, which changes key and tempo together."""

    def change(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        import soxr

        return soxr.resample(sound, SAMPLE_RATE, SAMPLE_RATE / ratio)

    return change


def noisy(decibels: float) -> Change:
    """Add white noise, so many decibels below the sound."""

    def change(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        level = 10 ** (-decibels / 20) * np.sqrt(np.mean(np.square(sound)))
        return sound + level * rng.standard_normal(len(sound))

    return change


def in_a_hall(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put the sound into a room whose noise fades by 60 dB in three seconds."""
    from scipy.signal import fftconvolve

    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    response = rng.standard_normal(len(time)) * 10 ** (-time)
    response *= 0.5 / np.sqrt(np.sum(np.square(response)))
    return 0.5 * sound + fftconvolve(sound, response)[: len(sound)]


def by_telephone(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Send the sound through the codec of a mobile telephone."""
    from pedalboard import GSMFullRateCompressor

    return GSMFullRateCompressor()(sound, SAMPLE_RATE)


def as_mp3(bits: int) -> Change:
    """Code the sound as mp3 at so many bits a second, and decode it."""

    def change(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        import av

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "coded.mp3"
            with av.open(path, "w") as file:
                stream = file.add_stream("mp3", rate=SAMPLE_RATE, layout="mono")
                stream.bit_rate = bits
                samples = sound[np.newaxis].astype(np.float32)
                frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
                frame.sample_rate = SAMPLE_RATE
                for packet in (*stream.encode(frame), *stream.encode(None)):
                    file.mux(packet)
            return load_audio(path, SAMPLE_RATE)

    return change


def clip(seconds: float) -> Change:
    """Keep a part that starts anywhere."""

    def change(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        length = min(round(seconds * SAMPLE_RATE), len(sound))
        start = int(rng.integers(len(sound) - length + 1))
        return sound[start : start + length]

    return change


def without_middle(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leave out the middle half."""
    return play(sound, Take(cut=0.5))


CHANGES: dict[str, Change] = {
    "as it is": lambda sound, rng: sound,
    "detuned by 25 cents": transposed(0.25),
    "detuned by 50 cents": transposed(0.5),
    "3 semitones up": transposed(3),
    "6 semitones up": transposed(6),
    "tempo x 0.5": stretched(0.5),
    "tempo x 0.7": stretched(0.7),
    "tempo x 1.4": stretched(1.4),
    "tempo x 2": stretched(2.0),
    "33 played at 45 turns": faster(45 / (100 / 3)),
    "45 played at 33 turns": faster(100 / 3 / 45),
    "noise 20 dB below": noisy(20),
    "noise 6 dB below": noisy(6),
    "a hall": in_a_hall,
    "a mobile telephone": by_telephone,
    "mp3, 32 kbit/s": as_mp3(32_000),
    "without its middle half": without_middle,
    "60 s of it": clip(60),
    "30 s of it": clip(30),
    "20 s of it": clip(20),
    "10 s of it": clip(10),
}
# In a medley, seconds of each song.
_MEDLEY = 30.0
AFTER, BESIDE = "30 s of it, then 30 s of another", "another song along with it"


Sounds = list[tuple[str, np.ndarray]]


def rendered(archive: Path, count: int, strangers: int) -> tuple[Sounds, Sounds]:
    """Return queries and a library: work and samples of each."""
    names = np.random.default_rng(0).permutation(list_songs(archive))
    works = [
        Work(str(name), "test", (excerpt(read_song(archive, str(name))),))
        for name in names[: count + strangers]
    ]
    queries, references = [], []
    for number, work in enumerate(progress_bar(works, unit="song", desc="render")):
        versions = list_versions([work], 2 if number < count else 1, seed=0)
        sound, *others = (perform(version)[3] for version in versions)
        references.append((work.id, sound))
        queries += [(work.id, other) for other in others]
    return queries, references


def mixed(name: str, sounds: Sounds) -> Sounds:
    """Return each query with the next one after it or along with it."""
    found = []
    for number, (work, sound) in enumerate(sounds):
        _, other = sounds[(number + 1) % len(sounds)]
        if name == BESIDE:
            length = min(len(sound), len(other))
            found.append((work, sound[:length] + other[:length]))
        else:
            half = round(_MEDLEY * SAMPLE_RATE)
            found.append((work, np.concatenate([sound[:half], other[:half]])))
    return found


@dataclass(frozen=True)
class Recording:
    """A recording as `identify` reads it, and its embedding by each encoder."""

    query: Query
    embeddings: dict[str, np.ndarray]


def read(sounds: Sounds, encoders: dict[str, Encoder]) -> list[Recording]:
    """Read recordings and embed them."""
    found = []
    for work, sound in progress_bar(sounds, unit="recording", desc="read"):
        query = Query.of_samples(
            sound, encoders[_DEFAULT].frontend, work, DEFAULT_HEARING
        )
        embeddings = {
            name: encoder.embed_features([encoder.frontend.features(sound, work)])[0]
            for name, encoder in encoders.items()
        }
        found.append(Recording(query, embeddings))
    return found


def mean_reciprocal_rank(
    similarity: np.ndarray,
    works: list[str],
    references: list[str],
    beside: list[str] | None,
) -> float:
    """Return it; each query has one version among the references.

    That of another song in the query stands neither before nor after it.
    """
    left_out = np.equal.outer(beside or [""] * len(works), references)
    scores = score_queries(
        lambda rows: (similarity[rows], left_out[rows]), works, references
    )
    return float(scores.average_precision.mean())


def cells(
    asked: list[Recording],
    library: list[Recording],
    calibration: Calibration,
    beside: list[str] | None = None,
) -> list[str]:
    """Return the figures of one way to change the queries.

    Args:
        asked: the changed queries.
        library: what they are searched in.
        calibration: of the default encoder.
        beside: the work of another song in each query, which may be named as well.
    """
    works, references = ([one.query.name for one in some] for some in (asked, library))
    cosines = {
        name: np.stack([one.embeddings[name] for one in asked])
        @ np.stack([one.embeddings[name] for one in library]).T
        for name in ENCODERS
    }
    chroma = [[one.query.chroma for one in some] for some in (asked, library)]
    later = [one.query.later for one in asked]
    score = aligned_clips(chroma[0], later, chroma[1])
    likely = np.array(
        [
            [found.score for found in align_likely(one, chroma[1], row, later=again)]
            for one, row, again in zip(chroma[0], cosines[_DEFAULT], later, strict=True)
        ]
    )
    lengths = [np.array([one.shape[1] for one in some]) for some in chroma]
    disparity = Pairs.disparity_of(lengths[0][:, np.newaxis], lengths[1])
    probability = calibration.probability(
        Pairs(
            likely.ravel(),
            cosines[_DEFAULT].ravel(),
            disparity.ravel(),
            max(len(library), LEAST),
        )
    ).reshape(score.shape)
    named = np.array(references)[probability.argmax(axis=1)]
    is_right = (named == np.array(works)) | (named == np.array(beside or works))
    is_version = [calibration.verdict(row.max()) == "version" for row in probability]
    return [
        *(
            f"{mean_reciprocal_rank(one, works, references, beside):.2f}"
            for one in (*cosines.values(), score, probability)
        ),
        f"{np.mean(is_right & is_version):.2f}",
        f"{np.mean(~is_right & is_version):.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pop909", type=Path, required=True, help="pop909.zip")
    parser.add_argument("--works", type=int, default=24, help="works asked for")
    parser.add_argument("--strangers", type=int, default=56, help="other recordings")
    options = parser.parse_args()
    encoders = {name: load_encoder(name) for name in ENCODERS}
    identity = Identity.of(encoders[_DEFAULT], _DEFAULT, hearing=DEFAULT_HEARING)
    calibration = calibration_for(identity)
    queries, references = rendered(options.pop909, options.works, options.strangers)
    library = read(references, encoders)
    rows = []
    for name, change in CHANGES.items():
        # As with the seed of the renderings, each query is changed by itself.
        changed = [
            (work, change(sound, np.random.default_rng(number)))
            for number, (work, sound) in enumerate(queries)
        ]
        rows.append([name, *cells(read(changed, encoders), library, calibration)])
        print(*rows[-1], flush=True)
    for name in (AFTER, BESIDE):
        asked = read(mixed(name, queries), encoders)
        beside = [work for work, _ in queries[1:] + queries[:1]]
        rows.append([name, *cells(asked, library, calibration, beside)])
        print(*rows[-1], flush=True)
    seconds = np.median([len(sound) for _, sound in queries]) / SAMPLE_RATE
    write_section(
        "encoders",
        "Robustness",
        command_of("accuracy.robustness", parser, options),
        f"{len(queries)} songs of POP909, each asked for by another rendering than the "
        f"one that is in a library of {len(library)}: other players, key, tempo and "
        f"room. The queries last {seconds:.0f} s in the median and are changed further "
        "as each row says. Mean reciprocal rank of the version by the embeddings, by "
        "alignment of all and by the probability that `identify` gives with "
        f"`{_DEFAULT}`; the share of queries whose version it names first and calls a "
        "`version`, and the share for which it so names a song that is not in the "
        "query. Of two songs in a query either may be named, and the other's version "
        "has no rank. One query is 1 of "
        f"{len(queries)}. The encoders were trained on drawn versions of most of these "
        "songs, and the network that hears notes on some, and this table has been "
        "looked at when encoders were chosen; so compare the rows, not the levels.\n\n"
        + table(
            [
                "query",
                *(f"`{name}`" for name in encoders),
                "alignment",
                "`identify`",
                "version found",
                "false version",
            ],
            rows,
        ),
    )


if __name__ == "__main__":
    main()
