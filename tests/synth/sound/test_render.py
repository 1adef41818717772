import shutil

import numpy as np
import pytest

from bytecover_tf.errors import AudioError
from bytecover_tf.synth.playing.performance import Part, Performance, PlayedNote
from bytecover_tf.synth.sound import render as module
from bytecover_tf.synth.sound.render import SAMPLE_RATE, SOUNDFONTS, render

FONT = next((path for path in SOUNDFONTS.values() if path.is_file()), None)
needs_fluidsynth = pytest.mark.skipif(
    FONT is None or shutil.which("fluidsynth") is None,
    reason="fluidsynth or its soundfonts are not installed",
)
TONE = Performance(
    (Part("melody", 73, (PlayedNote(0.5, 2.0, 69, 100),)),), (), 2.5, 0.0
)


@needs_fluidsynth
def test_a_note_sounds_when_and_as_high_as_written():
    samples = render(TONE, FONT)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    loud = np.flatnonzero(np.abs(samples) > 0.1 * np.abs(samples).max())
    assert loud[0] / SAMPLE_RATE == pytest.approx(0.5, abs=0.15)
    assert loud[-1] / SAMPLE_RATE == pytest.approx(2.5, abs=0.3)
    middle = samples[int(1.0 * SAMPLE_RATE) : int(2.0 * SAMPLE_RATE)]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    low, high = (int(f * len(middle) / SAMPLE_RATE) for f in (300, 600))
    peak = (low + int(np.argmax(spectrum[low:high]))) * SAMPLE_RATE / len(middle)
    assert peak == pytest.approx(440.0, abs=4.0)


@needs_fluidsynth
def test_a_file_that_is_no_soundfont_is_an_error(tmp_path):
    bad = tmp_path / "bad.sf2"
    bad.write_bytes(b"no soundfont")
    with pytest.raises(AudioError, match=r"bad\.sf2: not a soundfont"):
        render(TONE, bad)


def test_missing_soundfont_and_program_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: "/bin/true")
    with pytest.raises(AudioError, match=r"none\.sf2: no such soundfont"):
        render(TONE, tmp_path / "none.sf2")
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with pytest.raises(AudioError, match="fluidsynth is not on the PATH"):
        render(TONE, tmp_path / "none.sf2")


def test_a_program_that_hangs_is_stopped(tmp_path, monkeypatch):
    program = tmp_path / "fluidsynth"
    program.write_text("#!/bin/sh\nsleep 30\n")
    program.chmod(0o755)
    font = tmp_path / "font.sf2"
    font.write_bytes(b"RIFF\0\0\0\0sfbk")
    monkeypatch.setattr(module.shutil, "which", lambda name: str(program))
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    with pytest.raises(AudioError, match=r"font\.sf2 did not end within"):
        render(TONE, font)
