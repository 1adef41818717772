import dataclasses

import librosa
import numpy as np
import pytest
import soundfile

from bytecover_tf.audio import chroma, streaming
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.errors import AudioError, ConfigError, FrontendMismatch


def reference(samples, pool=100):
    """The paper's features, written out with librosa and loops."""
    cqt = librosa.cqt(
        samples, sr=22050, hop_length=512, fmin=librosa.note_to_hz("C1"), n_bins=84
    )
    columns = []
    for start in range(0, cqt.shape[1] - pool + 1, pool):
        columns.append(np.abs(cqt[:, start : start + pool]).mean(axis=1))
    features = np.stack(columns, axis=1)
    return features / features.max()


def test_defaults_match_the_paper_by_librosa(music):
    samples = music(20)
    features = Frontend().features(samples)
    assert features.dtype == np.float32
    assert features.shape == (84, 8)
    np.testing.assert_allclose(features, reference(samples), atol=1e-6)


def test_four_minutes_make_103_frames():
    assert (1 + 240 * 22050 // 512) // Frontend().pool == 103


def test_a_tone_lands_in_its_bin():
    t = np.arange(22050 * 5) / 22050
    features = Frontend(pool=20).features(np.sin(2 * np.pi * 440 * t))
    assert features[:, 4].argmax() == 69 - 24  # A4, counted from C1
    assert features.max() == 1


def test_long_recordings_in_chunks_equal_one_piece(music, monkeypatch):
    samples = music(60)
    whole = Frontend(pool=20).features(samples)
    monkeypatch.setattr(streaming, "_CHUNK_FRAMES", 300)
    blocks = iter(np.array_split(samples, 17))
    chunked = Frontend(pool=20)._features(blocks, "music")
    assert chunked.shape == whole.shape
    np.testing.assert_allclose(chunked, whole, atol=3e-6)


# A chunk is a multiple of both blocks, so it may be another one; then they are rounded
# another way.
@pytest.mark.parametrize(("pool", "rounding"), [(100, 0), (20, 0), (30, 1e-6)])
def test_chroma_leaves_the_features_as_they_are(
    pool, rounding, music, tmp_path, monkeypatch
):
    path = tmp_path / "music.wav"
    soundfile.write(path, music(60), 22050)
    monkeypatch.setattr(streaming, "_CHUNK_FRAMES", 500)
    frontend = Frontend(pool=pool)
    features, found = frontend.extract_with_chroma(path)
    alone = frontend.extract(path)
    np.testing.assert_allclose(features, alone, rtol=0, atol=rounding)
    cqt = librosa.cqt(music(60), sr=22050, hop_length=512, fmin=frontend.fmin)
    expected = chroma.chroma_of_cqt(np.abs(cqt))
    assert found.shape == expected.shape == (12, 129)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_chroma_of_a_waveform_is_that_of_its_file(music, tmp_path):
    path = tmp_path / "music.wav"
    soundfile.write(path, music(20), 22050, subtype="FLOAT")
    features, found = Frontend().features_with_chroma(music(20))
    np.testing.assert_array_equal(features, Frontend().features(music(20)))
    np.testing.assert_array_equal(found, Frontend().extract_with_chroma(path)[1])


def test_chroma_is_refused_as_the_features_are(music):
    with pytest.raises(AudioError, match=r"clip\.wav.*at least 2\.30 s"):
        Frontend().features_with_chroma(music(1), "clip.wav")
    odd = Frontend(bins_per_octave=14)
    assert odd.features(music(5)).shape == (84, 2)
    with pytest.raises(ConfigError, match="clip.*multiple of 12"):
        odd.features_with_chroma(music(5), "clip")


@pytest.mark.parametrize("frames", [100, 199, 200])
def test_length_is_whole_pools(frames, music):
    samples = music(10)[: (frames - 1) * 512]
    assert Frontend().features(samples).shape[1] == frames // 100


def test_too_short_is_refused_with_the_needed_length(music):
    frontend = Frontend()
    samples = music(5)
    assert frontend.features(samples[: frontend.min_samples]).shape == (84, 1)
    with pytest.raises(AudioError, match=r"clip\.wav.*at least 2\.30 s"):
        frontend.features(samples[: frontend.min_samples - 1], "clip.wav")


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(100_000, np.float32), "silen"),
        (np.full(100_000, np.nan, np.float32), "finite"),
        (np.ones((2, 100_000), np.float32), "1-D"),
    ],
)
def test_unusable_samples_are_refused(samples, reason):
    with pytest.raises(AudioError, match=reason):
        Frontend().features(samples, "x")


def test_from_cqt_pools_what_is_partly_pooled(music):
    samples = music(30)
    partly = dataclasses.replace(Frontend(), pool=20, normalization="none")
    magnitudes = partly.features(samples)
    np.testing.assert_allclose(
        Frontend().from_cqt(magnitudes, 20), reference(samples), atol=1e-6
    )
    with pytest.raises(ConfigError, match="30"):
        Frontend().from_cqt(magnitudes, 30)
    with pytest.raises(AudioError, match=r"\(84, frames\)"):
        Frontend().from_cqt(magnitudes.T)


@pytest.mark.parametrize("normalization", ["max", "none"])
def test_recordings_of_a_batch_are_normalised_each_by_itself(normalization, rng):
    frontend = Frontend(normalization=normalization)
    batch = rng.random((3, 84, 7), np.float32) * np.float32([[[2]], [[0]], [[0.1]]])
    expected = batch.copy()
    if normalization == "max":
        expected[0] /= expected[0].max()
        expected[2] /= expected[2].max()
    frontend.normalize(batch)
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, expected)


def test_from_cqt_leaves_what_it_is_given(rng):
    magnitudes = 2 * rng.random((84, 7), np.float32)
    before = magnitudes.copy()
    found = Frontend().from_cqt(magnitudes, Frontend().pool)
    np.testing.assert_array_equal(magnitudes, before)
    np.testing.assert_array_equal(found, before / before.max())


def test_json_round_trip_and_hash():
    frontend = Frontend(pool=20, window="hamming")
    assert Frontend.from_json(frontend.to_json()) == frontend
    assert frontend.hash == Frontend.from_json(frontend.to_json()).hash
    # Written down, so that a change that would orphan every store is noticed.
    assert Frontend().hash == "f5841be45851"
    for field, value in [
        ("sample_rate", 44100),
        ("hop_length", 1024),
        ("n_bins", 72),
        ("fmin", 65.4),
        ("window", "hamming"),
        ("pool", 20),
        ("normalization", "none"),
        ("estimated", True),
    ]:
        assert dataclasses.replace(Frontend(), **{field: value}).hash != Frontend().hash


def test_mismatch_shows_both_values():
    with pytest.raises(FrontendMismatch, match="store: .*pool: expected 100, found 20"):
        Frontend().check_same(Frontend(pool=20), "store")
    Frontend().check_same(Frontend(), "store")


@pytest.mark.parametrize(
    "wrong",
    [
        {"pool": 0},
        {"pool": 1.5},
        {"hop_length": 500},
        {"n_bins": 120},
        {"normalization": "peak"},
        {"fmin": -1.0},
    ],
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Frontend(**wrong)


def test_unknown_parameters_are_refused():
    with pytest.raises(ConfigError, match="sparsity"):
        Frontend.from_dict({"sparsity": 0})


def test_a_transform_that_overflows_is_refused():
    frontend = Frontend(pool=20)
    samples = np.zeros(2 * frontend.min_samples, np.float32)
    samples[5000] = 1e38
    with pytest.raises(AudioError, match="query: has a sample of"):
        frontend.features(samples, "query")
    pooled = np.full((84, 3), np.inf, np.float32)
    with pytest.raises(AudioError, match="query: its .CQT. is not finite"):
        frontend.check_pooled(pooled, "query")


def test_estimated_features_are_near_the_exact_ones(music):
    exact = Frontend(n_bins=252, bins_per_octave=36, pool=5, normalization="none")
    estimated = dataclasses.replace(exact, estimated=True)
    samples = music(8)
    expected, found = exact.features(samples), estimated.features(samples)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 0.02 * expected.mean()
    assert not np.array_equal(found, expected)


def test_what_is_not_estimated_is_named_as_before():
    assert "estimated" not in Frontend().to_dict()
    estimated = Frontend(estimated=True)
    assert Frontend.from_dict(estimated.to_dict()) == estimated
    with pytest.raises(FrontendMismatch, match="estimated: expected False, found True"):
        Frontend().check_same(estimated, "store")


def test_features_and_hearing_that_read_the_same_share_a_transform(music, estimates):
    fine = Frontend(n_bins=252, bins_per_octave=36, pool=5, estimated=True)
    samples = music(8)
    apart = (
        fine.features(samples),
        Frontend().features_with_chroma(samples, hearing=DEFAULT_HEARING)[1],
    )
    estimates.clear()
    features, folded = fine.features_with_chroma(samples, hearing=DEFAULT_HEARING)
    assert len(estimates) == 1
    np.testing.assert_array_equal(features, apart[0])
    np.testing.assert_array_equal(folded, apart[1])


def test_a_file_s_notes_are_for_encoders_of_the_same_transform(
    music, tmp_path, monkeypatch
):
    path = tmp_path / "song.wav"
    soundfile.write(path, music(8), 22050, subtype="FLOAT")
    fine = Frontend(n_bins=252, bins_per_octave=36, pool=5, estimated=True)
    features, folded, heard, later = fine.extract_sound(path, DEFAULT_HEARING)
    np.testing.assert_array_equal(features, fine.extract(path))
    # The features are the transform at another gain, which does not matter.
    notes = DEFAULT_HEARING.hear_means(features)
    expected = DEFAULT_HEARING.for_encoder(features, notes)
    assert heard.network == expected.network
    np.testing.assert_allclose(heard.notes, expected.notes, atol=1e-4)
    assert later.shape == DEFAULT_HEARING.chroma(features[:, 2:]).shape
    found = fine.extract_with_chroma(path, DEFAULT_HEARING)
    np.testing.assert_array_equal(found[0], features)
    np.testing.assert_array_equal(found[1], folded)
    assert fine.extract_sound(path).heard is None
    # Encoders read the parts of longer ones.
    with monkeypatch.context() as patch:
        patch.setattr("bytecover_tf.audio.frontend.LONGEST_WORK", 7.0)
        assert fine.extract_sound(path, DEFAULT_HEARING).heard is None
    for other in (
        Frontend(pool=20),
        dataclasses.replace(fine, pool=10),
        Frontend(pool=5),
    ):
        assert other.extract_sound(path, DEFAULT_HEARING).heard is None
