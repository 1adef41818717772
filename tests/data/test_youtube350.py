import logging
from collections import Counter

import pytest

from bytecover_tf.data import youtube350
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_published_size(tmp_path, caplog):
    touch(tmp_path, *(f"{w}_{v}.mp3" for w in range(50) for v in range(7)))
    with caplog.at_level(logging.WARNING):
        tracks = youtube350.load(tmp_path)
    assert Counter(track.role for track in tracks) == {"reference": 100, "query": 250}
    assert Counter(track.work for track in tracks) == {str(w): 7 for w in range(50)}
    originals = {track.id for track in tracks if track.role == "reference"}
    assert originals == {f"{w}_{v}" for w in range(50) for v in (5, 6)}
    assert not caplog.text


def test_incomplete_copy(tmp_path, caplog):
    touch(tmp_path, "audio/10_0.npy", "audio/9_6.mp3", "list.txt")
    with caplog.at_level(logging.WARNING):
        tracks = youtube350.load(tmp_path)
    audio = tmp_path / "audio"
    assert tracks == [
        Track("9_6", "9", str(audio / "9_6.mp3"), "test", "reference"),
        Track("10_0", "10", str(audio / "10_0.npy"), "test", "query"),
    ]
    assert "1 references and 1 queries; 100 and 250 were published" in caplog.text


def test_other_numbering(tmp_path):
    touch(tmp_path, "01_00.mp3", "01_02.mp3")
    tracks = youtube350.load(tmp_path, originals=(0, 1))
    assert [(track.id, track.role) for track in tracks] == [
        ("1_0", "reference"),
        ("1_2", "query"),
    ]


@pytest.mark.parametrize("name", ["1_7.mp3", "1_10.mp3", "Yesterday_1.mp3", "1.mp3"])
def test_malformed_name(tmp_path, name):
    touch(tmp_path, "1_0.mp3", name)
    with pytest.raises(DataError, match=f"{name}: expected the name <work>_<version>"):
        youtube350.load(tmp_path)


def test_same_recording_twice(tmp_path):
    touch(tmp_path, "1_0.mp3", "01_0.mp3")
    with pytest.raises(DataError, match="expected one file a recording"):
        youtube350.load(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="expected recordings"):
        youtube350.load(tmp_path)
    with pytest.raises(DataError, match="expected a folder"):
        youtube350.load(tmp_path / "gone")
