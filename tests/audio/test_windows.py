from itertools import pairwise

import numpy as np
import pytest

from bytecover_tf.audio import streaming
from bytecover_tf.audio.chroma import HEARD_PARTS
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.audio.streaming import StreamedTransform
from bytecover_tf.audio.windows import iter_windows
from bytecover_tf.errors import ConfigError

FRONTEND = Frontend(pool=20)
# Of chroma, and of features here.
FRAME = 20 * 512


def blocks(samples, size=30_000):
    return (samples[i : i + size] for i in range(0, len(samples), size))


@pytest.mark.parametrize("hearing", [None, DEFAULT_HEARING])
def test_a_window_is_as_if_it_were_a_recording(music, hearing):
    samples = music(30)
    windows = list(iter_windows(blocks(samples), FRONTEND, hearing, 10, 4))
    # 22 and 9 frames.
    assert [window.first for window in windows] == list(range(0, 46, 9))
    second = windows[1]
    assert (second.first, second.end) == (9, 31)
    # With a second around it, of which the transform needs some.
    around = samples[7 * FRAME : 33 * FRAME]
    features, chroma = FRONTEND.features_with_chroma(around, "around", hearing)
    inside = features[:, 2:24] / features[:, 2:24].max()
    np.testing.assert_allclose(second.features, inside, atol=2e-3)
    # Medians are of other frames, so chroma is alike and not the same.
    expected = chroma[:, 2:24].astype(float)
    assert second.chroma.shape == expected.shape
    assert len(expected) == (12 if hearing is None else 12 * HEARD_PARTS)
    assert np.corrcoef(second.chroma[-12:].ravel(), expected[-12:].ravel())[0, 1] > 0.9


def test_windows_cover_all_of_a_signal(music):
    samples = music(33)
    windows = list(iter_windows(blocks(samples), FRONTEND, None, 10, 4))
    for before, after in pairwise(windows):
        assert after.first - before.first == 9
        assert before.end > after.first
    assert windows[-1].end == (1 + len(samples) // 512) // 20
    assert windows[-1].chroma.shape[1] <= 22


def test_a_short_signal_is_one_window(music):
    (window,) = iter_windows(blocks(music(4)), FRONTEND, None, 60, 15)
    assert (window.first, window.end) == (0, 8)
    assert list(iter_windows([], FRONTEND, None, 60, 15)) == []
    assert list(iter_windows(blocks(music(0.2)), FRONTEND, None, 60, 15)) == []


def test_silence_has_no_features(music):
    samples = np.concatenate([music(10), np.zeros(30 * 22050, np.float32), music(10)])
    windows = list(iter_windows(blocks(samples), FRONTEND, None, 5, 5))
    silent = [window for window in windows if window.features is None]
    assert silent
    # All of those that begin in the pause and end there.
    assert all(10 < window.first * FRAME / 22050 < 35.5 for window in silent)
    assert len(silent) == 5


@pytest.mark.parametrize("dither", [0, 2**-15])
def test_what_rounding_and_dither_leave_is_silence(music, rng, dither):
    pause = dither * rng.integers(-1, 2, 30 * 22050).astype(np.float32)
    samples = np.concatenate([music(10), pause, music(10)])
    windows = list(iter_windows(blocks(samples), FRONTEND, None, 5, 1))
    whole = FRONTEND.average
    stream = StreamedTransform(whole)
    stream.add(samples)
    (means,) = stream.finish()
    for window in windows:
        start = round(window.first * FRAME / whole.samples)
        frames = round(5 * 22050 / whole.samples)
        peak = means[:, start : start + frames].max(initial=0)
        assert (window.features is None) == (peak < 1e-4 * means.max())
    residues = [0 < means[:, n].max() < 1e-4 * means.max() for n in range(len(means.T))]
    assert any(residues)


def test_smaller_chunks_give_the_same_windows(music):
    samples = music(40)
    whole = list(iter_windows(blocks(samples), FRONTEND, None, 10, 5))
    small = list(iter_windows(blocks(samples), FRONTEND, None, 10, 5, 200))
    assert len(whole) == len(small)
    for one, other in zip(whole, small, strict=True):
        assert one.first == other.first
        np.testing.assert_allclose(one.features, other.features, atol=2e-3)


def test_a_window_comes_as_soon_as_it_is_transformed(music):
    taken = 0

    def counted():
        nonlocal taken
        for block in blocks(music(120)):
            taken += len(block)
            yield block

    windows = iter_windows(counted(), FRONTEND, None, 10, 5, 200)
    first = next(windows)
    assert first.end == 22
    assert taken < 20 * 22050
    next(windows)
    assert taken < 25 * 22050


def test_another_rate_is_refused(music):
    other = Frontend(sample_rate=44100)
    with pytest.raises(ConfigError, match="heard at 22050"):
        list(iter_windows(blocks(music(5)), other, DEFAULT_HEARING, 10, 5))


def test_windows_and_files_are_read_alike(music, monkeypatch, estimates):
    fine = Frontend(n_bins=252, bins_per_octave=36, pool=5, estimated=True)
    samples = music(12)
    features, chroma = fine.features_with_chroma(samples, hearing=DEFAULT_HEARING)
    # One transform serves features and hearing.
    monkeypatch.setattr(streaming, "magnitudes", None)
    estimates.clear()
    (window,) = iter_windows(blocks(samples), fine, DEFAULT_HEARING, 60, 15)
    assert len(estimates) == 1
    # The last frames do not fill one of chroma.
    frames = window.features.shape[1]
    assert frames == features.shape[1] // 4 * 4
    np.testing.assert_array_equal(window.features, features[:, :frames])
    expected = DEFAULT_HEARING.chroma(features[:, :frames])
    assert window.chroma.shape == chroma.shape == expected.shape
    assert np.abs(window.chroma.astype(int) - expected).max() <= 1
    expected = DEFAULT_HEARING.for_encoder(
        window.features, DEFAULT_HEARING.hear_means(window.features)
    )
    assert window.heard.network == expected.network
    np.testing.assert_allclose(window.heard.notes, expected.notes, atol=1e-4)


def test_windows_of_another_transform_have_no_notes(music):
    for hearing in (None, DEFAULT_HEARING):
        (window,) = iter_windows(blocks(music(4)), FRONTEND, hearing, 60, 15)
        assert window.heard is None
