import shutil

import numpy as np
import pytest
import soundfile

from benchmarks.common.heard import heard
from benchmarks.speed import end_to_end
from bytecover_tf.audio.decoding import load_audio

pytest.importorskip("torch")
if shutil.which("ffmpeg") is None:
    pytest.skip("needs the ffmpeg command", allow_module_level=True)


@pytest.fixture
def tracks(tmp_path, music, monkeypatch):
    monkeypatch.setattr(end_to_end, "SHORTEST", 5)
    monkeypatch.setattr(end_to_end, "LONGEST", 8)
    (tmp_path / "source").mkdir()
    for seed in range(2):
        path = tmp_path / "source" / f"{seed}.wav"
        soundfile.write(path, music(3, seed=seed), 22050)
    soundfile.write(tmp_path / "source" / "0-silent.wav", np.zeros(50_000), 22050)
    return end_to_end.make_tracks(tmp_path / "source", tmp_path / "tracks", 4)


def test_tracks_are_made_once_in_two_formats(tracks, tmp_path):
    assert [path.suffix for path in tracks] == [".mp3", ".flac"] * 2
    lengths = [len(load_audio(path)) / 22050 for path in tracks]
    np.testing.assert_allclose(lengths, [5, 6.85, 5.71, 7.56], atol=0.1)
    before = [path.stat().st_mtime_ns for path in tracks]
    again = end_to_end.make_tracks(tmp_path / "source", tmp_path / "tracks", 4)
    assert [path.stat().st_mtime_ns for path in again] == before
    assert sorted(heard(tmp_path / "tracks")) == tracks


def test_our_embeddings_are_the_scripts(tracks, tmp_path):
    end_to_end.write_networks(tmp_path)
    _, theirs = end_to_end.one_by_one(tracks, tmp_path)
    _, ours = end_to_end.WAYS[end_to_end.EMBED_FULL](tracks, tmp_path)
    assert ((ours * theirs).sum(axis=1) > 0.999).all()
    stages = end_to_end.profile(tracks[:1], tmp_path)
    assert {"decoding", "transform and pooling"} <= set(stages)
