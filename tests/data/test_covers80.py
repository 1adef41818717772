import logging
import unicodedata

import pytest

from bytecover_tf.data import covers80
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError

PAIRS = [
    (
        "Abracadabra/steve_miller_band+Live_+09-Abracadabra",
        "Abracadabra/sugar_ray+14_59+11-Abracadabra",
    ),
    ("Let_It_Be/beatles+1+26-Let_It_Be", "Let_It_Be/nick_cave+I_am_Sam+20-Let_It_Be"),
]
FURTHER = "Let_It_Be/beatles+Let_It_Be+06-Let_It_Be"


def write(folder, pairs, further=()):
    folder.mkdir(parents=True)
    for number in 0, 1:
        lines = [pair[number] for pair in pairs]
        (folder / f"list{number + 1}.list").write_text("\n".join(lines) + "\n")
    for entry in [entry for pair in pairs for entry in pair] + list(further):
        path = folder / f"{entry}.mp3"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize("below", [".", "covers32k", "coversongs/covers32k"])
def test_lists_pick_the_pairs(tmp_path, below, caplog):
    folder = write(tmp_path / "root" / below, PAIRS, [FURTHER])
    with caplog.at_level(logging.WARNING):
        tracks = covers80.load(tmp_path / "root")
    assert tracks == [
        Track(entry, pair[0].split("/")[0], str(folder / f"{entry}.mp3"))
        for pair in PAIRS
        for entry in pair
    ]
    assert {(track.split, track.role) for track in tracks} == {("test", "both")}
    assert "2 songs; 80 were published" in caplog.text


@pytest.mark.parametrize(("listed", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_may_be_written_otherwise_on_disk(tmp_path, listed, stored):
    names = ["Caf\u00e9/bj\u00f6rk+x+01-Caf\u00e9", "Caf\u00e9/\u00e9+y+02-Caf\u00e9"]
    pair = tuple(unicodedata.normalize(stored, name) for name in names)
    folder = write(tmp_path / "covers32k", [pair])
    for number, form in enumerate((listed, stored)):
        line = unicodedata.normalize(form, names[number])
        (folder / f"list{number + 1}.list").write_text(line + "\n")
    tracks = covers80.load(folder)
    assert [track.path for track in tracks] == [
        str(folder / f"{name}.mp3") for name in pair
    ]
    assert len({track.work for track in tracks}) == 1


def test_published_size(tmp_path, caplog):
    pairs = [(f"song_{n}/a+x+01-{n}", f"song_{n}/b+y+02-{n}") for n in range(80)]
    with caplog.at_level(logging.WARNING):
        tracks = covers80.load(write(tmp_path / "covers32k", pairs))
    assert len(tracks) == 160
    assert len({track.work for track in tracks}) == 80
    assert not caplog.text


def test_converted_recordings(tmp_path):
    folder = write(tmp_path / "covers32k", PAIRS)
    for path in folder.glob("*/*.mp3"):
        path.rename(path.with_suffix(".npy"))
    assert {track.path[-4:] for track in covers80.load(folder)} == {".npy"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list1.list", "Let_It_Be\n", "list1.list:1: expected <song>/<recording>"),
        ("list1.list", "a/b/c\n", "list1.list:1: expected <song>/<recording>"),
        ("list2.list", PAIRS[0][1] + "\n", "list2.list: expected 2 songs .* found 1"),
        (
            "list2.list",
            f"{PAIRS[1][1]}\n{PAIRS[0][1]}\n",
            "list2.list:1: expected a version of 'Abracadabra' as in .*list1.list:1",
        ),
        (
            "list2.list",
            f"{PAIRS[0][1]}\nLet_It_Be/gone\n",
            "list2.list:2: expected the recording .*Let_It_Be/gone",
        ),
        (
            "list2.list",
            f"{PAIRS[0][0]}\n{PAIRS[1][1]}\n",
            "list2.list:1: .*steve_miller_band.* was listed before",
        ),
    ],
)
def test_malformed_lists(tmp_path, name, text, message):
    folder = write(tmp_path / "covers32k", PAIRS)
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=message):
        covers80.load(folder)


def test_song_listed_twice(tmp_path):
    folder = write(tmp_path / "covers32k", [PAIRS[0], PAIRS[1], (FURTHER, PAIRS[1][1])])
    with pytest.raises(DataError, match="'Let_It_Be' was listed before"):
        covers80.load(folder)


def test_missing_list(tmp_path):
    with pytest.raises(DataError, match=r"expected list1\.list"):
        covers80.load(tmp_path)
    folder = write(tmp_path / "covers32k", PAIRS)
    (folder / "list2.list").unlink()
    with pytest.raises(DataError, match=r"list2\.list: expected a text file"):
        covers80.load(folder)
