"""How many versions a second does the cover generator make, drawn and rendered?

    python -m benchmarks.speed.drawing [--versions N] [--lieder ZIP] [--pop909 ZIP]

Performances of works of all collections, one after another in one process: their
features drawn from the notes alone, as `bytecover_tf.synth.draw` does, and rendered
with FluidSynth, sent through the recording chain and transformed, which is what
drawing stands in for.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.report import table, write_section
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.synth.drawing.spectral import draw_features, draw_score
from bytecover_tf.synth.playing.arrange import arrange
from bytecover_tf.synth.playing.style import draw_style
from bytecover_tf.synth.scores.corpora import COLLECTIONS
from bytecover_tf.synth.scores.library import (
    A_FEW,
    add_archive_options,
    chosen_archives,
    read_scores,
)
from bytecover_tf.synth.sound.render import SOUNDFONTS, render
from bytecover_tf.synth.sound.sound_effects import record

FRONTEND = Frontend(pool=20)
WAYS = {
    "drawn": ("arranging", "drawing features", "drawing the score"),
    "rendered": ("arranging", "rendering", "recording chain", "transform and pooling"),
}


class Clock:
    """Adds up the seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def time(self, stage: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the work returns."""
        start = time.perf_counter()
        result = work(*arguments)
        self.seconds[stage] += time.perf_counter() - start
        return result


def rows_of(seconds: dict[str, float], count: int) -> list[list[str]]:
    """Return rows of each way's stages and of their sum, for so many versions."""
    totals = {
        way: sum(seconds[stage] for stage in stages) for way, stages in WAYS.items()
    }
    rows = []
    for way, stages in WAYS.items():
        rows += [
            [way, stage, f"{1000 * seconds[stage] / count:.1f}", "", ""]
            for stage in stages
        ]
        rows.append(
            [
                way,
                "all",
                f"{1000 * totals[way] / count:.1f}",
                f"{count / totals[way]:.1f}",
                f"{totals['rendered'] / totals[way]:.1f}",
            ]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--versions", type=int, default=60)
    add_archive_options(parser, "played")
    options = parser.parse_args()
    fonts = [path for path in SOUNDFONTS.values() if path.exists()]
    if not fonts:
        parser.error("none of the soundfonts of synth.sound.render is installed")
    archives = chosen_archives(options)
    with tempfile.TemporaryDirectory() as folder:
        scores = read_scores(
            Path(folder, "scores.jsonl"),
            archives,
            os.cpu_count() or 1,
            A_FEW,
        )
    rng = np.random.default_rng(0)
    clock, music = Clock(), 0.0
    for number in range(options.versions):
        score = scores[rng.integers(len(scores))]
        style = draw_style(score, rng)
        performance = clock.time("arranging", arrange, score, style, rng)
        music += performance.duration
        features = clock.time(
            "drawing features", draw_features, performance, FRONTEND, rng
        )
        clock.time("drawing the score", draw_score, performance, FRONTEND, 0.0,
                   features.shape[1])  # fmt: skip
        sound = clock.time("rendering", render, performance, fonts[number % len(fonts)])
        sound = clock.time("recording chain", record, sound, rng)
        clock.time("transform and pooling", FRONTEND.features, sound)
    collections = [c for c in COLLECTIONS if c.name in {s.collection for s in scores}]
    body = (
        f"{options.versions} versions, {music / options.versions:.0f} s long in the "
        f"mean, of {len(scores)} scores from {len(collections)} collections; one "
        f"process, {len(fonts)} soundfonts in turns. Features of 84 bins by frames of "
        "0.46 s. `bytecover_tf.synth.draw` runs one process on each core and writes "
        "what is drawn straight to a store.\n\n"
        + table(
            ["", "", "ms a version", "versions a second", "times rendered"],
            rows_of(clock.seconds, options.versions),
        )
    )
    given = [c.option for c in COLLECTIONS if c.name in archives]
    command = " ".join(
        ["python -m benchmarks.speed.drawing", f"--versions {options.versions}"]
        + [f"--{option} ZIP" for option in given]
    )
    write_section("drawing", "Versions a second", command, body)


if __name__ == "__main__":
    main()
