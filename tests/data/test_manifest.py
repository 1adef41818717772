import json
import unicodedata

import pytest

from bytecover_tf.data import manifest
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError


@pytest.fixture
def root(tmp_path):
    (tmp_path / "audio").mkdir()
    for name in "1.mp3", "2, live.npy", "3.wav":
        (tmp_path / "audio" / name).touch()
    return tmp_path


def load(root, text, suffix=".csv"):
    path = root / f"manifest{suffix}"
    path.write_text(text, encoding="utf-8")
    return manifest.load(path)


def test_csv(root):
    text = (
        "\ufeffid,work,path,split,role,year\n"
        'one,"Ω, a song",audio/1.mp3,train,query,1961\n'
        "\n"
        'two,w,"audio/2, live.npy",validation,reference,\n'
        ",w,audio/3.wav,,,\n"
    )
    audio = root / "audio"
    assert load(root, text) == [
        Track("one", "Ω, a song", str(audio / "1.mp3"), "train", "query"),
        Track("two", "w", str(audio / "2, live.npy"), "validation", "reference"),
        Track("audio/3.wav", "w", str(audio / "3.wav"), "test", "both"),
    ]


def test_json_lines(root):
    rows = [
        {"work": "w", "path": "audio/1.mp3", "id": 7, "split": "train", "tags": ["x"]},
        {"work": 3, "path": str(root / "audio" / "3.wav"), "role": None},
    ]
    audio = root / "audio"
    assert load(root, "\n\n".join(map(json.dumps, rows)), ".jsonl") == [
        Track("7", "w", str(audio / "1.mp3"), "train", "both"),
        Track(str(audio / "3.wav"), "3", str(audio / "3.wav"), "test", "both"),
    ]


def test_recording_is_another_name_for_id(root):
    (track,) = load(root, "recording,work,path\nAD_3,AD,audio/1.mp3\n")
    assert track.id == "AD_3"
    (track,) = load(root, "recording,id,work,path\nAD_3,x,AD,audio/1.mp3\n")
    assert track.id == "x"


HEADER = "id,work,path,split,role\n"
GOOD = "a,w,audio/1.mp3,test,both\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "csv:1: expected a header with one column 'work', found none"),
        ("id,path\n", "csv:1: .*'work', found id, path"),
        ("work,id\n", "csv:1: .*'path'"),
        ("work,work,path\n", "csv:1: .*one column 'work'"),
        ("work,path,Split\n", "csv:1: expected the column 'split', found 'Split'"),
        ("work,path,id,id\n", "csv:1: the column 'id' comes twice"),
        (HEADER, "csv: expected at least one recording"),
        (HEADER + GOOD + "b,w,audio/1.mp3\n", "csv:3: expected 5 fields, found 3"),
        (HEADER + GOOD + GOOD, "csv:3: the id 'a' was listed before"),
        (HEADER + "a, ,audio/1.mp3,,\n", "csv:2: expected a 'work'"),
        (HEADER + "a,w,,,\n", "csv:2: expected a 'path'"),
        (HEADER + "a,w,audio/9.mp3,,\n", r"csv:2: expected the file .*9\.mp3"),
        (HEADER + "a,w,audio,,\n", "csv:2: expected the file .*audio"),
        (HEADER + "a,w,audio/1.mp3,val,\n", "csv:2: .*'split' .*train.*found 'val'"),
        (HEADER + "a,w,audio/1.mp3,,noise\n", "csv:2: .*'role' .*both.*found 'noise'"),
        (HEADER + 'a,w,"audio/1.mp3\n', "csv:2: expected CSV"),
    ],
)
def test_malformed_csv(root, text, message):
    with pytest.raises(DataError, match=message):
        load(root, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "jsonl: expected at least one recording"),
        ("\n{", "jsonl:2: expected a JSON object"),
        ("[1]", "jsonl:1: expected a JSON object"),
        ('{"path": "audio/1.mp3"}', "jsonl:1: expected a 'work'"),
        ('{"work": "w"}', "jsonl:1: expected a 'path'"),
        (
            '{"work": "w", "path": "x", "Role": "query"}',
            "the column 'role', found 'Role'",
        ),
        ('{"work": true, "path": "audio/1.mp3"}', "jsonl:1: expected 'work' to be a t"),
        ('{"work": "w", "path": ["x"]}', "jsonl:1: expected 'path' to be a text"),
    ],
)
def test_malformed_json_lines(root, text, message):
    with pytest.raises(DataError, match=message):
        load(root, text, ".jsonl")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_unreadable(root, suffix):
    path = root / f"manifest{suffix}"
    with pytest.raises(DataError, match=f"manifest{suffix}: expected a"):
        manifest.load(path)
    path.write_bytes(b"work,path\n\xff,audio/1.mp3\n")
    with pytest.raises(DataError, match=f"manifest{suffix}: expected UTF-8"):
        manifest.load(path)


def test_other_ending(root):
    with pytest.raises(DataError, match=r"ends in \.csv or \.jsonl"):
        load(root, HEADER + GOOD, ".txt")


@pytest.mark.parametrize(("listed", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_may_be_written_otherwise_on_disk(tmp_path, listed, stored):
    name = "Beyonc\u00e9/D\u00e9j\u00e0 vu.mp3"
    path = tmp_path / unicodedata.normalize(stored, name)
    path.parent.mkdir()
    path.touch()
    row = f"work,path\nw,{unicodedata.normalize(listed, name)}\n"
    (track,) = load(tmp_path, row)
    assert track.path == str(path)


def test_a_work_is_one_however_its_accents_are_written(root):
    forms = [
        unicodedata.normalize(form, "D\u00e9j\u00e0 vu") for form in ("NFC", "NFD")
    ]
    files = ("1.mp3", "3.wav")
    rows = "".join(
        f"{form},audio/{file}\n" for form, file in zip(forms, files, strict=True)
    )
    assert len({track.work for track in load(root, "work,path\n" + rows)}) == 1
