import subprocess
import sys

import numpy as np
import pytest

from bytecover_tf.audio import teacher
from bytecover_tf.audio.teacher import HOP, SAMPLE_RATE, Teacher, teacher_file
from bytecover_tf.errors import ConfigError

try:
    teacher_file()
    HAS_TEACHER = True
except ConfigError:
    HAS_TEACHER = False

needs_teacher = pytest.mark.skipif(
    not HAS_TEACHER, reason=f"Basic Pitch is not installed ({teacher.INSTALL})"
)


# Windows meet after 142 frames; eight of them are run together.
@pytest.mark.parametrize("frames", [1, 142, 143, 8 * 142, 8 * 142 + 1, 3000])
@pytest.mark.parametrize("rest", [0, HOP - 1])
def test_frame_i_is_centred_on_sample_256_i(toy_teacher, rng, frames, rest):
    samples = rng.random((frames - 1) * HOP + 1 + rest, np.float32)
    notes, onsets = Teacher().listen(samples)
    np.testing.assert_array_equal(notes, np.tile(samples[::HOP], (88, 1)))
    np.testing.assert_array_equal(onsets, notes / 2)


def test_frames_past_the_end_hear_silence(toy_teacher, rng):
    samples = rng.random(1000, np.float32)
    notes, _ = Teacher().listen(samples, 6)
    expected = [*samples[::HOP], 0, 0]
    np.testing.assert_array_equal(notes, np.tile(expected, (88, 1)))
    notes, _ = Teacher().listen(samples, 2)
    np.testing.assert_array_equal(notes, np.tile(samples[[0, HOP]], (88, 1)))


def test_an_absent_teacher_says_what_to_install(monkeypatch):
    monkeypatch.setattr(teacher, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install --no-deps basic-pitch==0.4.0"):
        Teacher()


def test_a_package_without_the_network_is_named(toy_teacher):
    toy_teacher.unlink()
    with pytest.raises(ConfigError, match=r"nmp\.onnx: expected .* pip install"):
        Teacher()
    toy_teacher.write_text("no network")
    with pytest.raises(ConfigError, match=r"nmp\.onnx: cannot be loaded"):
        Teacher()


def test_the_package_is_found_without_being_imported(toy_teacher):
    (toy_teacher.parents[2] / "__init__.py").write_text("raise RuntimeError")
    assert teacher_file() == toy_teacher
    assert "basic_pitch" not in sys.modules


@pytest.fixture(scope="module")
def melody():
    """A note a second for four minutes: samples, when each begins, its pitch."""
    rng = np.random.default_rng(3)
    begins = np.arange(240) + rng.uniform(0.3, 0.5, 240)
    pitches = rng.integers(57, 77, 240)
    samples = np.zeros(241 * SAMPLE_RATE, np.float32)
    t = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    for begin, pitch in zip(begins, pitches, strict=True):
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        tone = sum(np.sin(2 * np.pi * frequency * h * t) / h for h in (1, 2, 3))
        samples[round(begin * SAMPLE_RATE) :][: len(t)] = 0.2 * tone * np.exp(-4 * t)
    return samples, begins, pitches


@needs_teacher
def test_the_clock_is_kept_for_minutes(melody):
    samples, begins, pitches = melody
    notes, onsets = Teacher().listen(samples)
    assert notes.shape == onsets.shape == (88, -(-len(samples) // HOP))
    centres = np.rint(begins * SAMPLE_RATE / HOP).astype(int)
    late = []
    for centre, pitch in zip(centres, pitches, strict=True):
        near = onsets[pitch - 21, centre - 20 : centre + 21]
        late.append(near.argmax() - 20)
        assert notes[pitch - 21, centre + 8] > 0.4
    assert np.abs(late).max() <= 1
    assert abs(np.mean(late[:60]) - np.mean(late[-60:])) < 0.25


@needs_teacher
def test_a_note_is_heard_alike_wherever_windows_meet(melody):
    samples, _, _ = melody
    teacher = Teacher()
    whole, _ = teacher.listen(samples[: 40 * SAMPLE_RATE])
    # The same sound with windows that begin elsewhere.
    moved, _ = teacher.listen(samples[71 * HOP : 40 * SAMPLE_RATE])
    inner = whole[:, 71 + 200 : -200], moved[:, 200:-200]
    assert np.corrcoef(inner[0].ravel(), inner[1].ravel())[0, 1] > 0.97


@needs_teacher
def test_the_real_teacher_needs_no_tensorflow():
    code = (
        "import sys, numpy as np\n"
        "from bytecover_tf.audio.teacher import Teacher\n"
        "Teacher().listen(np.zeros(1000, np.float32))\n"
        "assert not {'tensorflow', 'keras', 'basic_pitch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
