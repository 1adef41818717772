import json
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from bytecover_tf.audio import decoding, frontend
from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.compare import main
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.errors import AudioError, EncoderError
from bytecover_tf.matching.alignment import Alignment, align, frame_similarities
from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.picture import matched_frames, similarities
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover

FILES = tunes.audio_files()
# Every frame of the transform that the default encoder reads.
FINE = Frontend(n_bins=252, bins_per_octave=36, pool=1, normalization="none")


@pytest.fixture
def clip(tmp_path):
    """Seconds 4 to 14 of a recording."""
    samples, rate = soundfile.read(FILES[0])
    path = tmp_path / "clip.flac"
    soundfile.write(path, samples[4 * rate : 14 * rate], rate)
    return path


def test_two_recordings_and_where_they_match(clip, tmp_path, capsys):
    plot = tmp_path / "match.png"
    assert main([str(FILES[0]), str(clip), "--json", "--plot", str(plot)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["query"], found["recording"]) == (str(FILES[0]), str(clip))
    assert 0 < found["similarity"] <= 1
    assert not found["same_recording"]
    assert found["transposition"] == 0
    assert found["query_start"] == pytest.approx(4, abs=1)
    assert found["query_end"] == pytest.approx(14, abs=1)
    assert found["recording_start"] == pytest.approx(0, abs=1)
    assert found["recording_end"] == pytest.approx(10, abs=1)
    picture = imread(plot)
    assert min(picture.shape[:2]) > 800
    assert picture.std() > 0.1


def test_versions_are_more_probable_than_strangers(capsys):
    probabilities = []
    # Two versions of one work, then two works.
    for other in (FILES[6], FILES[12]):
        assert main([str(FILES[5]), str(other), "--json"]) == 0
        probabilities.append(json.loads(capsys.readouterr().out)["probability"])
    assert probabilities[0] > 0.8 > probabilities[1]


def test_hearing_can_be_chosen(tmp_path, capsys):
    own = tmp_path / "own.onnx"
    own.write_bytes(Path(DEFAULT_HEARING.path).read_bytes())
    files = [str(FILES[5]), str(FILES[6])]
    scores = {}
    for given in ("", "none", str(own)):
        asked = ["--hearing", given] if given else []
        assert main([*files, *asked, "--json"]) == 0
        scores[given] = json.loads(capsys.readouterr().out)["score"]
    frontend = load_encoder("bytecover-base").frontend
    plain = [frontend.extract_with_chroma(path)[1] for path in files]
    assert scores["none"] == pytest.approx(align(*plain).score, abs=1e-3)
    assert scores[str(own)] == scores[""] != scores["none"]
    own.unlink()
    with pytest.raises(EncoderError, match=r"own\.onnx: no network that hears"):
        main([*files, "--hearing", str(own)])


def test_an_encoder_adds_the_similarity(tmp_path, capsys):
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    save_model(model, tmp_path / "encoder.keras", Frontend(), {})
    a, b = map(str, FILES[:2])
    assert main([a, b, "--encoder", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    first, second = load_encoder(tmp_path).embed_audio([a, b])
    assert found["similarity"] == pytest.approx(float(first @ second), abs=1e-3)
    assert main([a, a, "--encoder", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "probability 1.00" in told
    assert "similarity 1.00" in told
    assert "the same recording" in told


def test_a_missing_file_is_named(clip):
    with pytest.raises(AudioError, match=r"none\.mp3"):
        main([str(clip), "none.mp3"])


def test_the_path_follows_the_match(rng):
    step = seconds_per_frame(Frontend())
    assert step == pytest.approx(0.4644, abs=1e-4)
    first = rng.integers(0, 256, (12, 40), np.uint8)
    second = np.roll(first[:, 10:30], 4, axis=0)
    alignment = align(first, second)
    similarity = similarities(first, second, alignment.transposition)
    assert similarity.shape == (40, 20)
    np.testing.assert_allclose(np.diag(similarity[10:30]), 1, atol=1e-6)
    path = matched_frames(first, second, alignment)
    np.testing.assert_array_equal(path, [[10 + i, i] for i in range(20)])


def test_the_path_is_that_of_dynamic_time_warping(rng):
    first, second = (rng.integers(0, 256, (12, n), np.uint8) for n in (70, 90))
    path = matched_frames(first, second, Alignment(1.0, 2, 10, 60, 5, 75))
    similarity = frame_similarities(first, second, 2)
    _, backwards = librosa.sequence.dtw(
        C=1 - similarity[10:60, 5:75],
        step_sizes_sigma=np.array([[1, 1], [1, 2], [2, 1]]),
    )
    np.testing.assert_array_equal(path, backwards[::-1] + np.array([10, 5]))


def test_pictures_of_hours_take_little_memory(rng):
    """All pairs of frames of these would take gigabytes."""
    hours = rng.integers(0, 256, (12, 50_000), np.uint8)
    similarity = similarities(hours, hours[:, :25_000], 0)
    assert similarity.shape == (50_000 // 21, 25_000 // 11)
    whole = Alignment(1.0, 0, 0, 25_000, 0, 25_000)
    path = matched_frames(hours, hours[:, :25_000], whole)
    np.testing.assert_array_equal(path, [[0, 0], [24_999, 24_999]])
    song = Alignment(1.0, 0, 40_000, 40_300, 20_000, 20_300)
    path = matched_frames(hours, hours[:, 20_000:45_000], song)
    np.testing.assert_array_equal(path[:, 0], path[:, 1] + 20_000)


def test_each_file_is_decoded_once(clip, tmp_path, monkeypatch, capsys):
    decoded = []

    def noted(path, *options):
        decoded.append(str(path))
        return decoding.iter_audio(path, *options)

    monkeypatch.setattr(frontend, "iter_audio", noted)
    files = [str(FILES[0]), str(clip)]
    assert main([*files, "--plot", str(tmp_path / "match.png")]) == 0
    assert decoded == files


def test_precomputed_transforms_are_compared_and_drawn(tmp_path, music, capsys):
    np.save(tmp_path / "whole.npy", FINE.features(music(20)))
    np.save(tmp_path / "clip.npy", FINE.features(music(20)[5 * 22050 : 15 * 22050]))
    files = [str(tmp_path / "whole.npy"), str(tmp_path / "clip.npy")]
    plot = tmp_path / "match.png"
    assert main([*files, "--json", "--plot", str(plot)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["query_start"] == pytest.approx(5, abs=1)
    assert found["query_end"] == pytest.approx(15, abs=1)
    assert plot.exists()


def test_the_notes_of_both_are_aligned(clip, tmp_path, capsys):
    path = tmp_path / "notes.json"
    calibration = Calibration(-2.0, 3.0, parts=5)
    calibration.save(path)
    files = [str(FILES[0]), str(clip)]
    plot = tmp_path / "match.png"
    options = ["--calibration", str(path), "--json", "--plot", str(plot)]
    assert main([*files, *options]) == 0
    found = json.loads(capsys.readouterr().out)
    first, second = (
        Frontend().extract_with_chroma(path, DEFAULT_HEARING)[1] for path in files
    )
    assert len(first) == len(second) == 60
    alignment = align(first, second)
    assert found["score"] == pytest.approx(alignment.score, abs=1e-3)
    assert found["transposition"] == alignment.transposition == 0
    assert found["query_start"] == pytest.approx(4, abs=1)
    assert found["recording_end"] == pytest.approx(10, abs=1)
    # Two alone are a catalogue of one.
    ratio = np.exp(-2 + 3 * alignment.score)
    assert found["probability"] == pytest.approx(ratio / (1 + ratio), abs=1e-3)
    assert min(imread(plot).shape[:2]) > 800


def test_a_calibration_of_other_parts_is_refused(clip, tmp_path):
    path = tmp_path / "plain.json"
    Calibration(-2.0, 3.0).save(path)
    reason = r"plain\.json: fitted on chroma of 1 parts, not 5"
    with pytest.raises(EncoderError, match=reason):
        main([str(FILES[0]), str(clip), "--calibration", str(path)])


def test_sound_and_a_precomputed_transform_are_compared(tmp_path, clip, capsys):
    np.save(tmp_path / "whole.npy", FINE.extract(FILES[0]))
    assert main([str(tmp_path / "whole.npy"), str(clip), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["query_start"] == pytest.approx(4, abs=1)
    assert found["recording_end"] == pytest.approx(10, abs=1)
