import json
import logging

import pytest

from bytecover_tf.data import load_dataset
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError

NAME = "Discogs-VI-YT-20240701-light.json"


def version(number, video):
    return {"version_id": f"V-{number}", "youtube_id": video}


PARTS = {
    "train": {"C-1": [version(1, "TMHWEcSKEPI"), version(2, "-aBcDeFgHi0")]},
    "val": {"C-2": [version(3, "AAAAAAAAAAA"), version(4, "aaaaaaaaaaa")]},
    "test": {
        "C-3": [version(5, "b1"), version(6, "b2"), version(7, "gone")],
        "C-4": [version(8, "alone"), version(9, "gone too")],
    },
}
AUDIO = ["TM/TMHWEcSKEPI.mp4", "-a/-aBcDeFgHi0.mp3", "AA/AAAAAAAAAAA.npy",
         "aa/aaaaaaaaaaa.mp3", "b1/b1.mp3", "b2/b2.mp3", "al/alone.mp3"]  # fmt: skip


@pytest.fixture
def root(tmp_path):
    for part, cliques in PARTS.items():
        (tmp_path / f"{NAME}.{part}").write_text(json.dumps(cliques))
    (tmp_path / NAME).write_text("{}")
    for name in AUDIO:
        path = tmp_path / "audio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        # What the authors' downloader leaves beside each.
        path.with_suffix(".meta").write_text("{}")
    return tmp_path


def test_splits_works_and_files(root, caplog):
    with caplog.at_level(logging.WARNING):
        tracks = load_dataset("discogs_vi", root)
    audio = root / "audio"
    assert tracks == [
        Track("V-1", "C-1", str(audio / AUDIO[0]), "train"),
        Track("V-2", "C-1", str(audio / AUDIO[1]), "train"),
        Track("V-3", "C-2", str(audio / AUDIO[2]), "validation"),
        Track("V-4", "C-2", str(audio / AUDIO[3]), "validation"),
        Track("V-5", "C-3", str(audio / AUDIO[4]), "test"),
        Track("V-6", "C-3", str(audio / AUDIO[5]), "test"),
    ]
    # One video is gone, and a clique whose other version is gone counts as well.
    assert "3 of 9 versions are left out" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "an object with cliques as keys"),
        ('{"C-9": [{"version_id": "V-1"}]}', "key 'C-9': expected a list of objects"),
        ('{"C-9": 3}', "key 'C-9': expected a list of objects"),
        (json.dumps(PARTS["train"]), "'V-1' is listed twice"),
    ],
)
def test_malformed_lists(root, content, message):
    (root / f"{NAME}.test").write_text(content)
    with pytest.raises(DataError, match=message):
        load_dataset("discogs_vi", root)


def test_missing_lists_and_audio(root):
    (root / f"{NAME}.val").rename(root / "elsewhere")
    with pytest.raises(DataError, match=r"light\.json\.val, found 0"):
        load_dataset("discogs_vi", root)
    (root / "elsewhere").rename(root / f"{NAME}.val")
    for path in (root / "audio").rglob("*.mp?"):
        path.unlink()
    with pytest.raises(DataError, match="two of a clique at least"):
        load_dataset("discogs_vi", root)
