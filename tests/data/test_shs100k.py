import logging

import pytest

from bytecover_tf.data import shs100k
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError

LIST = """\
0\t0\tSummertime\tAbbie Mitchell\thttps://www.youtube.com/watch?v=TMHWEcSKEPI\tTrue
0\t3\t"Summertime\tJerry Kruger\thttps://www.youtube.com/watch?v=J9JctRqcDso\tTrue
1\t2\tStille Nacht\tMireille Mathieu\thttps://youtu.be/TUw-_3SYEmc\tFalse
5982\t0\tLodi\tTesla\thttps://www.youtube.com/watch?v=AAAAAAAAAAA\tTrue
5982\t7\tLodi\tNo URL\t\tTrue
6000\t1\tUnused\tNobody\thttps://www.youtube.com/watch?v=BBBBBBBBBBB\tTrue
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "list").write_text(LIST, encoding="utf-8")
    (tmp_path / "SHS100K-TRAIN").write_text("0\t0\n0\t3\n")
    (tmp_path / "SHS100K-VAL").write_text("1\t2\n")
    (tmp_path / "SHS100K-TEST").write_text("5982\t0\n5982\t7\n")
    audio = tmp_path / "audio" / "some"
    audio.mkdir(parents=True)
    for name in "0_0.mp3", "0_3.npy", "TUw-_3SYEmc.m4a", "5982_7.WAV", "6000_1.mp3":
        (audio / name).touch()
    return tmp_path


def test_official_split_by_either_name(root, caplog):
    with caplog.at_level(logging.WARNING):
        tracks = shs100k.load(root)
    audio = root / "audio" / "some"
    assert tracks == [
        Track("0_0", "0", str(audio / "0_0.mp3"), "train"),
        Track("0_3", "0", str(audio / "0_3.npy"), "train"),
        Track("1_2", "1", str(audio / "TUw-_3SYEmc.m4a"), "validation"),
        Track("5982_7", "5982", str(audio / "5982_7.WAV"), "test"),
    ]
    assert "1 of 5 recordings have no file" in caplog.text


def test_a_video_of_two_sets_stays_in_the_later_list(root):
    """Also if it has a file for each."""
    (root / "list").write_text(LIST.replace("AAAAAAAAAAA", "TMHWEcSKEPI"))
    (root / "audio" / "some" / "5982_0.mp3").touch()
    assert [(track.id, track.split) for track in shs100k.load(root)] == [
        ("0_3", "train"),
        ("1_2", "validation"),
        ("5982_0", "test"),
        ("5982_7", "test"),
    ]


def test_audio_elsewhere(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("features")
    (other / "0_0.npy").touch()
    assert shs100k.load(root, audio=other) == [
        Track("0_0", "0", str(other / "0_0.npy"), "train")
    ]


def test_lists_as_cqtnet_writes_them_and_byte_order_mark(root):
    (root / "SHS100K-TRAIN").write_text("\ufeff0_0\r\n0_3\r\n", encoding="utf-8")
    assert [t.id for t in shs100k.load(root) if t.split == "train"] == ["0_0", "0_3"]


def test_a_set_in_two_lists_belongs_to_the_later(root, caplog):
    """So are the published lists where one ends and the next begins."""
    (root / "SHS100K-TRAIN").write_text("0\t0\n0\t3\n1\t2\n")
    (root / "SHS100K-VAL").write_text("1\t2\n5982\t7\n")
    with caplog.at_level(logging.INFO):
        tracks = shs100k.load(root)
    assert [(track.id, track.split) for track in tracks] == [
        ("0_0", "train"),
        ("0_3", "train"),
        ("1_2", "validation"),
        ("5982_7", "test"),
    ]
    for name in ("SHS100K-TRAIN", "SHS100K-VAL"):
        assert f"{name}: 1 recordings are of a set that a later list has" in caplog.text


def test_list_keeps_quotation_marks(root):
    listed = shs100k.read_list(root)
    assert listed["0_3"] == ('"Summertime', "Jerry Kruger", "J9JctRqcDso")
    assert listed["1_2"].youtube == "TUw-_3SYEmc"
    assert listed["5982_7"].youtube == ""


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list", "0\t0\tSummertime\n", "list:1: expected six fields .* found 3"),
        ("list", LIST + "a\t0\tx\ty\tz\tTrue\n", "list:7: expected set_id and ver_id"),
        ("list", LIST + LIST[:80].split("\n")[0] + "\n", "list:7: 0_0 was listed"),
        ("SHS100K-VAL", "1\t2\n\n1,2\n", "SHS100K-VAL:3: expected set_id and ver_id"),
        ("SHS100K-VAL", "1\t2\n1\t2\n", "SHS100K-VAL:2: 1_2 was listed before"),
        ("SHS100K-TEST", "9\t9\n", "SHS100K-TEST:1: 9_9 is not in .*list"),
    ],
)
def test_malformed_lists(root, name, text, message):
    (root / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        shs100k.load(root)


@pytest.mark.parametrize(
    "name", ["list", "SHS100K-TRAIN", "SHS100K-VAL", "SHS100K-TEST"]
)
def test_missing_list(root, name):
    (root / name).unlink()
    with pytest.raises(DataError, match=f"{name}: expected a text file"):
        shs100k.load(root)


def test_not_utf8(root):
    (root / "list").write_bytes(b"0\t0\t\xff\tx\ty\tTrue\n")
    with pytest.raises(DataError, match="list: expected UTF-8"):
        shs100k.load(root)


def test_two_files_for_a_recording(root):
    (root / "audio" / "0_0.wav").touch()
    with pytest.raises(DataError, match=r"0_0\.(mp3|wav).*one file a recording"):
        shs100k.load(root)


def test_no_recording(root, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(DataError, match="expected recordings"):
        shs100k.load(root, audio=empty)
    (empty / "unrelated.mp3").touch()
    with pytest.raises(DataError, match="expected files named <set_id>_<ver_id>"):
        shs100k.load(root, audio=empty)


def test_no_folder(root):
    with pytest.raises(DataError, match="gone: expected a folder"):
        shs100k.load(root / "gone")
    with pytest.raises(DataError, match="gone: expected a folder"):
        shs100k.load(root, audio=root / "gone")
