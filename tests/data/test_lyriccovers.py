import logging

import pytest

from bytecover_tf.data import load_dataset
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def write(path, rows, **changes):
    columns = ("id", "original_id", "youtube_url", "is_cover", "lyrics")
    table = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table({**table, **changes}), path)


def url(video):
    return f"http://www.youtube.com/watch?v={video}"


PARTS = {
    "train": [
        (69, 69, url("TMHWEcSKEPI"), False, "la"),
        (70, 69, "https://youtu.be/AAAAAAAAAAA", True, "la la"),
    ],
    "val": [(80, 80, url("BBBBBBBBBBB"), False, None)],
    "test": [
        (90, 90, url("CCCCCCCCCCC"), False, "lo"),
        (91, 90, None, True, "lo lo"),
        (92, 90, url("DDDDDDDDDDD"), True, "lo"),
    ],
}


@pytest.fixture(params=[".", "data"])
def root(tmp_path, request):
    for part, rows in PARTS.items():
        write(tmp_path / request.param / f"data_{part}.parquet", rows)
    (tmp_path / "audio").mkdir()
    for name in ("TMHWEcSKEPI.m4a", "70.mp3", "BBBBBBBBBBB.mp3", "90.npy", "91.mp3"):
        (tmp_path / "audio" / name).touch()
    return tmp_path


def test_splits_works_and_files(root, caplog):
    with caplog.at_level(logging.WARNING):
        tracks = load_dataset("lyriccovers", root)
    audio = root / "audio"
    assert tracks == [
        Track("69", "69", str(audio / "TMHWEcSKEPI.m4a"), "train", "reference"),
        Track("70", "69", str(audio / "70.mp3"), "train", "query"),
        Track("80", "80", str(audio / "BBBBBBBBBBB.mp3"), "validation", "reference"),
        Track("90", "90", str(audio / "90.npy"), "test", "reference"),
        Track("91", "90", str(audio / "91.mp3"), "test", "query"),
    ]
    assert "1 of 6 recordings have no file" in caplog.text


def test_a_video_of_two_works_stays_in_the_later_part(tmp_path):
    """Also if it has a file for each."""
    rows = [(92, 90, url("AAAAAAAAAAA"), True, "lo"), *PARTS["test"][:2]]
    for part, listed in {**PARTS, "test": rows}.items():
        write(tmp_path / f"data_{part}.parquet", listed)
    (tmp_path / "audio").mkdir()
    for name in (69, 70, 90, 92):
        (tmp_path / "audio" / f"{name}.mp3").touch()
    tracks = load_dataset("lyriccovers", tmp_path)
    assert [(track.id, track.split) for track in tracks] == [
        ("69", "train"),
        ("92", "test"),
        ("90", "test"),
    ]


def test_malformed_lists(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "x.mp3").touch()
    for part, rows in PARTS.items():
        write(tmp_path / f"data_{part}.parquet", rows)
    with pytest.raises(DataError, match="found none of them"):
        load_dataset("lyriccovers", tmp_path)
    test = tmp_path / "data_test.parquet"
    write(test, PARTS["train"])
    with pytest.raises(DataError, match="recording 69 is listed twice"):
        load_dataset("lyriccovers", tmp_path)
    write(test, PARTS["val"], original_id=pyarrow.array([None], pyarrow.int64()))
    with pytest.raises(DataError, match="row 1: expected an id, an original_id and"):
        load_dataset("lyriccovers", tmp_path)
    parquet.write_table(pyarrow.table({"id": [1]}), test)
    with pytest.raises(DataError, match="found no original_id, is_cover, youtube_url"):
        load_dataset("lyriccovers", tmp_path)
    test.write_text("no Parquet")
    with pytest.raises(DataError, match="expected a Parquet file"):
        load_dataset("lyriccovers", tmp_path)
    test.unlink()
    with pytest.raises(DataError, match=r"data_test\.parquet: expected a Parquet"):
        load_dataset("lyriccovers", tmp_path)
