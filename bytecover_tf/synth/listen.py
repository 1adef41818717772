"""Hear and see what the cover generator makes.

    python -m bytecover_tf.synth.listen --out DIR [--works 3] [--versions 4]

The command renders some versions of works drawn at random and writes a page,
DIR/index.html. You can hear each version there, read its style, and see three pictures:
the features of its sound, the features that `bytecover_tf.synth.draw` draws of the same
performance without any sound, and the notes. It takes a minute, because only a sample
of each collection is read. It needs FluidSynth and the soundfonts that
`bytecover_tf.synth.sound.render` names.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bytecover_tf import cli
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.cores import usable_cores
from bytecover_tf.errors import AudioError
from bytecover_tf.files import write_atomically
from bytecover_tf.progress import progress_bar
from bytecover_tf.synth.drawing.spectral import draw_features, draw_score
from bytecover_tf.synth.playing.performance import Performance
from bytecover_tf.synth.playing.style import Style
from bytecover_tf.synth.playing.versions import Version, list_versions
from bytecover_tf.synth.scores.library import (
    A_FEW,
    add_archive_options,
    chosen_archives,
    read_scores,
)
from bytecover_tf.synth.scores.variants import group_works
from bytecover_tf.synth.scores.works import Work
from bytecover_tf.synth.sound.perform import perform
from bytecover_tf.synth.sound.sound_effects import release, write_sound

# Fine enough to see single notes: 0.12 s a frame.
FRONTEND = Frontend(pool=5)
PICTURES = ("the features of its sound", "features drawn without sound", "the notes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = cli.parser("synth.listen", __doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the page")
    add_archive_options(parser, "played")
    parser.add_argument(
        "--works", type=cli.positive_int, default=3, help="number of works"
    )
    parser.add_argument(
        "--versions",
        type=cli.positive_int,
        default=4,
        help="number of versions of each work",
    )
    cli.add_seed_argument(parser)
    options = parser.parse_args(arguments)
    cli.require_extra("synth", "music21", "mido", "pedalboard")
    cli.require_extra("plots", "matplotlib")

    options.out.mkdir(parents=True, exist_ok=True)
    scores = read_scores(
        options.out / "scores.jsonl",
        chosen_archives(options),
        usable_cores(),
        A_FEW,
        options.seed,
    )
    groups = group_works(scores)
    chosen = np.random.default_rng(options.seed).permutation(len(groups))
    works = [
        Work(f"{number}", "train", tuple(scores[i] for i in groups[group]))
        for number, group in enumerate(chosen[: options.works], 1)
    ]
    versions = list_versions(works, options.versions, options.seed)
    entries, failed = [], 0
    for version in progress_bar(versions, unit="version"):
        try:
            entries.append(write_version(version, options.out))
        except AudioError as error:
            failed += 1
            print(f"failed: {error}")
    if not entries:
        return cli.NOTHING_DONE
    write_atomically(options.out / "index.html", page(entries))
    print(f"{len(entries)} versions, {failed} failed: {options.out / 'index.html'}")
    return cli.SOME_FAILED if failed else cli.OK


def write_version(version: Version, folder: Path) -> str:
    """Write a version's sound and picture; return its part of the page.

    Args:
        version: what is played.
        folder: gets `<id>.flac` and `<id>.png`.

    Raises:
        AudioError: it cannot be rendered.
    """
    performance, style, soundfont, samples = perform(version)
    rng = np.random.default_rng(version.seed)
    samples = release(samples, rng)
    write_sound(folder / f"{version.id}.flac", samples)
    _draw(performance, samples, folder / f"{version.id}.png", rng)
    title = f"Work {version.work}: {version.score.title} ({version.score.collection})"
    return (
        f"<h2>{html.escape(title)}</h2>\n"
        f"<p>{html.escape(describe(style, performance, soundfont))}</p>\n"
        f'<audio controls src="{version.id}.flac"></audio><br>\n'
        f'<img src="{version.id}.png" alt="{", ".join(PICTURES)}">\n'
    )


def describe(style: Style, performance: Performance, soundfont: str) -> str:
    """Return a description of a version's style."""
    players = ", ".join(
        f"{part.role} (program {part.program})" for part in performance.parts
    )
    order = " ".join(str(section + 1) for section in style.order)
    traits = [
        f"{style.key_shift:+d} semitones",
        f"{style.tempo:.0f} quarter notes a minute",
        f"sections {order}",
        f"{style.cents:+.0f} cents",
    ]
    for name in ("swing", "ornaments", "simplify", "reharmonise", "extended"):
        if getattr(style, name):
            traits.append(f"{name} {getattr(style, name):.2f}")
    return f"{players}; {', '.join(traits)}; {soundfont}"


def _draw(
    performance: Performance, samples: np.ndarray, path: Path, rng: np.random.Generator
) -> None:
    from matplotlib.figure import Figure

    drawn = draw_features(performance, FRONTEND, rng)
    melody, notes = draw_score(performance, FRONTEND, 0.0, drawn.shape[1])
    # The melody stands out, as it is part of the notes as well.
    images = [
        FRONTEND.features(samples, path.stem) ** 0.5,
        drawn**0.5,
        (melody + notes) / 2,
    ]
    figure = Figure(figsize=(11, 7), layout="constrained")
    seconds = FRONTEND.pool * FRONTEND.hop_length / FRONTEND.sample_rate
    panels = figure.subplots(len(images), 1, sharex=True)
    for axes, image, title in zip(panels, images, PICTURES, strict=True):
        axes.imshow(
            image,
            origin="lower",
            aspect="auto",
            extent=(0, image.shape[1] * seconds, 0, image.shape[0]),
        )
        axes.set(title=title, ylabel="bin")
    panels[-1].set_xlabel("seconds")
    figure.savefig(path, dpi=80)


def page(entries: Sequence[str]) -> str:
    """Return the HTML page of the versions."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        "<title>What the cover generator makes</title>\n"
        "<style>body { font-family: sans-serif; max-width: 60em; margin: auto }\n"
        "img { width: 100% }</style>\n"
        "<h1>What the cover generator makes</h1>\n" + "".join(entries) + "</html>\n"
    )


if __name__ == "__main__":
    cli.run(main)
