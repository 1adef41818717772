"""Versions of works as sound: arranged, rendered and recorded."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bytecover_tf.errors import AudioError
from bytecover_tf.synth.playing.arrange import arrange
from bytecover_tf.synth.playing.performance import Performance
from bytecover_tf.synth.playing.style import Style, draw_style
from bytecover_tf.synth.scores.score import Score
from bytecover_tf.synth.scores.works import Work
from bytecover_tf.synth.sound.render import SOUNDFONTS, render
from bytecover_tf.synth.sound.sound_effects import record

SHORTEST_SECONDS, LONGEST_SECONDS = 45.0, 120.0
# MuseScore's soundfont is compressed and takes longest to load.
SOUNDFONT_WEIGHTS = {
    "FluidR3_GM": 0.35,
    "FluidR3Mono_GM": 0.15,
    "MuseScore_General_Lite": 0.15,
    "TimGM6mb": 0.35,
}


@dataclass(frozen=True)
class Version:
    """A version to be rendered; these fields determine everything about it."""

    id: str
    work: str
    split: str
    score: Score
    seed: int


def list_versions(works: Sequence[Work], versions: int, seed: int) -> list[Version]:
    """Versions of all works; a work's scores take turns."""
    return [
        Version(
            id=f"{work.id}-{number}",
            work=work.id,
            split=work.split,
            score=work.scores[number % len(work.scores)],
            seed=zlib.crc32(f"{seed}/{work.id}-{number}".encode()),
        )
        for work in works
        for number in range(versions)
    ]


def arranged(version: Version) -> tuple[Performance, Style, np.random.Generator]:
    """Arrange a version.

    Returns:
        The performance, its style, and the generator of the further random choices.
    """
    rng = np.random.default_rng(version.seed)
    while True:
        style = draw_style(version.score, rng)
        performance = arrange(version.score, style, rng)
        if SHORTEST_SECONDS <= performance.duration <= LONGEST_SECONDS - 5:
            return performance, style, rng


def perform(version: Version) -> tuple[Performance, Style, str, np.ndarray]:
    """Arrange, render and record a version.

    Returns:
        The performance, its style, the soundfont's name, and samples of shape
        (samples,) at 22 050 Hz.

    Raises:
        AudioError: no soundfont renders it, or it is silent or too short.
    """
    performance, style, rng = arranged(version)
    errors = []
    fonts, weights = zip(*SOUNDFONT_WEIGHTS.items(), strict=True)
    for name in rng.choice(fonts, len(fonts), replace=False, p=weights):
        try:
            samples = render(performance, SOUNDFONTS[name])
        except AudioError as error:
            errors.append(str(error))
            continue
        return performance, style, str(name), record(samples, rng)
    raise AudioError(f"{version.id}: {'; '.join(errors)}")
