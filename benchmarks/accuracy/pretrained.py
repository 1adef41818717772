"""What does the encoder that comes with the package find that it was not trained on?

    python -m benchmarks.accuracy.pretrained --source DIR [--encoder NAME]

DIR holds the national anthems as `python -m benchmarks.accuracy.anthems` reads them;
besides these, the embedded set's test works, rendered with FluidSynth. Embeddings
alone, without alignment: each recording is searched among the others of its split, as
it is and with all of them repeated or cut to one length, which leaves only what is
heard.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from benchmarks.accuracy.alignment import search
from benchmarks.common.labelled import (
    LENGTHS,
    POOL,
    SECONDS,
    Labelled,
    clip,
    length_name,
    read_anthems,
    read_tunes,
)
from benchmarks.common.report import cells, replace_section, table, write_section
from bytecover_tf.encoders.encoder import Encoder, KerasNetwork, load_encoder
from bytecover_tf.encoders.model_file import encoder_file, load_model
from bytecover_tf.encoders.pretrained import DEFAULT, is_pretrained_name, locate
from bytecover_tf.metrics import bootstrap_interval, score_queries

EQUAL_SECONDS = 90.0

Embed = Callable[[Sequence[np.ndarray]], np.ndarray]


def with_encoder(encoder: Encoder) -> Embed:
    """Return a function from |CQT| at pool 20 to embeddings."""

    def embed(cqts: Sequence[np.ndarray]) -> np.ndarray:
        features = [encoder.frontend.from_cqt(cqt, POOL) for cqt in cqts]
        embedded = encoder.embed_features(features)
        assert not encoder.errors, encoder.errors
        return embedded

    return embed


def untrained(name: str) -> Encoder:
    """Return an encoder's network with random weights."""
    keras.utils.set_random_seed(0)
    model, _ = load_model(encoder_file(name))
    fresh = type(model).from_config(model.get_config())
    fresh.build((None, 84, None, 1))
    return Encoder(KerasNetwork(fresh, load_encoder(name).frontend))


def mean_spectrum(cqts: Sequence[np.ndarray]) -> np.ndarray:
    """Embed by the mean over time."""
    means = np.stack([cqt.mean(axis=1) for cqt in cqts])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def equally_long(cqt: np.ndarray) -> np.ndarray:
    """Repeat or cut (84, T) to `EQUAL_SECONDS`."""
    return cqt[:, np.arange(round(EQUAL_SECONDS / SECONDS)) % cqt.shape[1]]


def compare(items: Sequence[Labelled], embed: Embed) -> list[str]:
    """Return MAP, P@10 and MR1 as they are, and MAP at equal lengths."""
    works = [item.work for item in items]
    whole = embed([item.cqt for item in items])
    equal = embed([equally_long(item.cqt) for item in items])
    return [
        *cells(search(whole @ whole.T, works)),
        cells(search(equal @ equal.T, works))[0],
    ]


def by_length(items: Sequence[Labelled], embed: Embed) -> list[str]:
    """Return MAP of clips of each length among whole recordings."""
    works = [item.work for item in items]
    itself = np.eye(len(items), dtype=bool)
    references = embed([item.cqt for item in items])
    found = []
    for seconds in LENGTHS:
        rng = np.random.default_rng(0)
        clips = embed([clip(item.cqt, seconds, rng) for item in items])
        similarity = clips @ references.T
        scores = score_queries(
            lambda rows, s=similarity: (s[rows], itself[rows]), works, works
        )
        low, high = bootstrap_interval(scores, works)
        found.append(f"{scores.summary()['map']:.3f} [{low:.3f}, {high:.3f}]")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--encoder", default=DEFAULT)
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    sets = {
        f"anthems, {split}": read_anthems(options.source, split)
        for split in ("validation", "test")
    }
    sets["tunes, test"] = read_tunes()
    searches = {
        options.encoder: with_encoder(encoder),
        "the same, untrained": with_encoder(untrained(options.encoder)),
        "mean spectrum": mean_spectrum,
    }
    rows, lengths = [], []
    for name, items in sets.items():
        label = f"{name}, {len(items)} recordings"
        for method, embed in searches.items():
            rows.append([label, method, *compare(items, embed)])
            print(*rows[-1], flush=True)
        lengths.append([label, *by_length(items, searches[options.encoder])])
    name = Path(options.encoder).name
    body = (
        "Embeddings alone, each recording searched among the others of its split. "
        "Nothing was chosen on a test split.\n\n"
        + table(
            ["set", "", "MAP [95%]", "P@10", "MR1", "MAP at equal lengths [95%]"], rows
        )
        + "\n\nMAP of clips among whole recordings, without the one that the clip "
        "comes from:\n\n" + table(["set", *map(length_name, LENGTHS)], lengths)
    )
    title = f"What {name} finds"
    command = (
        "python -m benchmarks.accuracy.pretrained --source DIR "
        f"--encoder {options.encoder}"
    )
    write_section("encoders", title, command, body)
    if is_pretrained_name(options.encoder):
        # The card goes where the package goes; the report does not.
        card = locate(options.encoder) / "README.md"
        replace_section(card, title, command, body)


if __name__ == "__main__":
    main()
