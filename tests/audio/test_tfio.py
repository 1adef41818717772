import importlib
import sys

import numpy as np
import pytest
import soundfile

from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.errors import ByteCoverError


@pytest.fixture(scope="module")
def decode():
    pytest.importorskip("tensorflow_io")
    try:
        from bytecover_tf.audio.tfio import decode
    except ByteCoverError as error:  # there, but for another TensorFlow
        pytest.skip(str(error))
    return decode


def music(rate, seconds=6):
    """Stereo notes with harmonics and a decay, and noise 40 dB below them."""
    noise = np.random.default_rng(0).standard_normal((seconds * rate, 2))
    time = np.arange(seconds * rate) / rate
    samples = 2e-3 * noise
    for note, pitch in enumerate((220.0, 277.2, 329.6, 415.3)):
        decay = np.exp(-3 * ((time + note / 4) % 1))
        for harmonic in (1, 2, 4, 8):
            tone = decay * np.sin(2 * np.pi * pitch * harmonic * time) / harmonic
            samples[:, note % 2] += 0.15 * tone
    return samples


def signal_to_noise(reference, samples, highest=11025):
    """The ratio in decibels below a frequency in hertz."""
    frequencies = np.fft.rfftfreq(len(reference), 1 / 22050)
    signal, noise = (
        (np.abs(np.fft.rfft(part.astype(np.float64))) ** 2)[frequencies < highest]
        for part in (reference, reference - samples)
    )
    return 10 * np.log10(signal.sum() / noise.sum())


@pytest.mark.parametrize("rate", [32000, 44100, 48000])
@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        (".wav", "PCM_U8"),
        (".wav", "PCM_16"),
        (".wav", "PCM_24"),
        (".wav", "FLOAT"),
        (".flac", "PCM_16"),
        (".flac", "PCM_24"),
        (".ogg", "VORBIS"),
        (".mp3", "MPEG_LAYER_III"),
    ],
)
def test_agrees_with_load_audio(decode, tmp_path, rate, suffix, subtype):
    path = str(tmp_path / f"a{suffix}")
    soundfile.write(path, music(rate), rate, subtype)
    expected, samples = load_audio(path), decode(path).numpy()
    assert samples.dtype == np.float32
    assert samples.shape == expected.shape
    assert signal_to_noise(expected, samples, highest=9000) > 70
    assert signal_to_noise(expected, samples) > 30


def test_lower_sample_rate(decode, tmp_path):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, music(16000), 16000)
    expected, samples = load_audio(path), decode(path).numpy()
    assert samples.shape == expected.shape
    assert signal_to_noise(expected, samples) > 35


def test_same_sample_rate_is_exact(decode, tmp_path):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, music(22050)[:, :1], 22050)
    np.testing.assert_array_equal(decode(path).numpy(), load_audio(path))


@pytest.mark.parametrize("length", [1001, 44099, 44101])
def test_odd_lengths(decode, tmp_path, length):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, music(44100)[:length], 44100)
    assert decode(path).shape == load_audio(path).shape


def test_runs_in_a_dataset(decode, tmp_path):
    import tensorflow as tf

    paths = []
    for suffix, rate in ((".wav", 44100), (".flac", 22050), (".mp3", 48000)):
        paths.append(str(tmp_path / f"a{suffix}"))
        soundfile.write(paths[-1], music(rate), rate)
    dataset = tf.data.Dataset.from_tensor_slices(paths).map(decode)
    assert dataset.element_spec == tf.TensorSpec([None], tf.float32)
    for path, samples in zip(paths, dataset.as_numpy_iterator(), strict=True):
        np.testing.assert_allclose(samples, load_audio(path), atol=0.02)


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "nan", "32 bits"])
def test_bad_file_is_an_error_that_names_it(decode, tmp_path, kind):
    import tensorflow as tf

    path = str(tmp_path / "a.wav")
    samples = music(44100)
    if kind == "text":
        (tmp_path / "a.wav").write_text("Not a note in here.\n" * 200)
    elif kind == "empty":
        soundfile.write(path, samples[:0], 44100)
    elif kind == "nan":
        samples[7] = np.nan
        soundfile.write(path, samples, 44100, "FLOAT")
    elif kind == "32 bits":
        soundfile.write(path, samples, 44100, "PCM_32")
    with pytest.raises(tf.errors.OpError, match="a\\.wav"):
        decode(path)


def test_import_without_tensorflow_io_names_the_extra(monkeypatch):
    for name in ("tensorflow_io", "tensorflow_io.python.ops"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "bytecover_tf.audio.tfio", raising=False)
    with pytest.raises(ByteCoverError, match=r"tensorflow-io.*bytecover_tf\[tfio\]"):
        importlib.import_module("bytecover_tf.audio.tfio")
