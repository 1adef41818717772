import pytest

from bytecover_tf.data import load_dataset
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError

LIST = "\n".join(
    "\t".join(
        (set_id, ver_id, "Title", "Somebody", f"https://youtu.be/{video}", "True")
    )
    for set_id, ver_id, video in (
        ("8110", "0", "AAAAAAAAAAA"),
        ("8110", "1", "BBBBBBBBBBB"),
        ("9", "0", "CCCCCCCCCCC"),
        ("12", "3", "DDDDDDDDDDD"),
    )
)


@pytest.fixture
def root(tmp_path):
    """The layout of the repository."""
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "list").write_text(LIST)
    (tmp_path / "meta" / "SHS100K-TRAIN").write_text("9\t0\n")
    (tmp_path / "SHS100K-VAL").write_text("12\t3\n")
    (tmp_path / "SHS100K-TEST").write_text("8110\t0\n8110\t1\n")
    (tmp_path / "audio").mkdir()
    for name in ("8110_0.mp3", "BBBBBBBBBBB.mp3", "9_0.npy", "12_3.flac"):
        (tmp_path / "audio" / name).touch()
    return tmp_path


def test_lists_in_two_folders(root):
    audio = root / "audio"
    expected = [
        Track("9_0", "9", str(audio / "9_0.npy"), "train"),
        Track("12_3", "12", str(audio / "12_3.flac"), "validation"),
        Track("8110_0", "8110", str(audio / "8110_0.mp3"), "test"),
        Track("8110_1", "8110", str(audio / "BBBBBBBBBBB.mp3"), "test"),
    ]
    assert load_dataset("shs100k2", root) == expected
    for path in (root / "meta").iterdir():
        path.rename(root / path.name)
    assert load_dataset("shs100k2", root) == expected


def test_errors_name_the_file(root):
    (root / "meta" / "SHS100K-TRAIN").write_text("9\n")
    with pytest.raises(DataError, match="meta/SHS100K-TRAIN:1: expected set_id"):
        load_dataset("shs100k2", root)
    (root / "meta" / "SHS100K-TRAIN").unlink()
    with pytest.raises(DataError, match="SHS100K-TRAIN: expected a text file"):
        load_dataset("shs100k2", root)
