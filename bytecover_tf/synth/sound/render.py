"""Render a performance to samples with the program FluidSynth."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from bytecover_tf.errors import AudioError
from bytecover_tf.synth.playing.midi import midi_bytes
from bytecover_tf.synth.playing.performance import Performance

SAMPLE_RATE = 22050
GAIN = 0.4
AUDIBLE = 1e-4
# Far longer than a minute of music takes, because some notes of some soundfonts hang.
TIMEOUT_SECONDS = 60.0

# Debian's packages: fluid-soundfont-gm, fluidr3mono-gm-soundfont,
# musescore-general-soundfont-small, timgm6mb-soundfont.
SOUNDFONTS = {
    "FluidR3_GM": Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    "FluidR3Mono_GM": Path("/usr/share/sounds/sf3/FluidR3Mono_GM.sf3"),
    "MuseScore_General_Lite": Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3"),
    "TimGM6mb": Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
}


def render(performance: Performance, soundfont: Path) -> np.ndarray:
    """Render a performance.

    Args:
        performance: what is played.
        soundfont: an `.sf2` or `.sf3` file.

    Returns:
        Mono samples at 22 050 Hz, float32 of shape (samples,), from the first
        note to the end of the last one's decay.

    Raises:
        AudioError: FluidSynth or the soundfont is missing, fails or hangs.
    """
    import soundfile

    program = shutil.which("fluidsynth")
    if program is None:
        raise AudioError("fluidsynth is not on the PATH; install it to render scores")
    _check_soundfont(soundfont)
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder, "score.mid"), Path(folder, "sound.wav")
        score.write_bytes(midi_bytes(performance))
        command = [program, "-n", "-i", "-q", "-R", "0", "-C", "0", "-g", str(GAIN)]
        command += ["-o", "synth.dynamic-sample-loading=1"]
        command += ["-r", str(SAMPLE_RATE), "-F", str(sound)]
        command += [str(soundfont), str(score)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise AudioError(
                f"fluidsynth with {soundfont.name} did not end within "
                f"{TIMEOUT_SECONDS:.0f} s"
            ) from error
        if done.returncode or not sound.is_file():
            message = done.stderr.decode(errors="replace").strip()
            raise AudioError(f"fluidsynth with {soundfont.name} failed: {message}")
        samples, _ = soundfile.read(sound, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    loud = np.flatnonzero(np.abs(mono) > AUDIBLE)
    if not len(loud):
        raise AudioError(f"fluidsynth with {soundfont.name} gave silence")
    return mono[: loud[-1] + 1]


def _check_soundfont(path: Path) -> None:
    # If FluidSynth cannot read a soundfont, it uses another one without an error.
    if not path.is_file():
        raise AudioError(f"{path}: no such soundfont")
    with open(path, "rb") as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise AudioError(f"{path}: not a soundfont (expected RIFF sfbk)")
