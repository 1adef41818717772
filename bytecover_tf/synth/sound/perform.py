"""Performs a version as sound: arranged, rendered and recorded."""

from __future__ import annotations

import numpy as np

from bytecover_tf.errors import AudioError
from bytecover_tf.synth.playing.performance import Performance
from bytecover_tf.synth.playing.style import Style
from bytecover_tf.synth.playing.versions import Version, arranged
from bytecover_tf.synth.sound.render import SOUNDFONTS, render
from bytecover_tf.synth.sound.sound_effects import record

# MuseScore's soundfont is compressed and takes longest to load.
SOUNDFONT_WEIGHTS = {
    "FluidR3_GM": 0.35,
    "FluidR3Mono_GM": 0.15,
    "MuseScore_General_Lite": 0.15,
    "TimGM6mb": 0.35,
}


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
