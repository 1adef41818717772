import json
import logging
import unicodedata
from collections import Counter

import pytest

from bytecover_tf.data import datacos
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError

NAME = "da-tacos_benchmark_subset_metadata.json"


def entry(work, performance, title="Trade Winds", artist="Aki Aleong"):
    return {
        "work_title": title,
        "work_artist": artist,
        "perf_title": title,
        "perf_artist": artist,
        "release_year": "1961",
        "work_id": work,
        "perf_id": performance,
        "instrumental": "No",
    }


def cliques():
    return {
        "W_15": {
            "P_22": entry("W_15", "P_22"),
            "P_23": entry("W_15", "P_23", "Trade  winds", "Dodie Stevens [1]"),
        },
        "W_16": {"P_30": entry("W_16", "P_30", "Alone", "Somebody")},
    }


def write(root, metadata, audio=("P_22.mp3", "W_15/P_23.npy", "W_16/P_30.flac")):
    (root / NAME).write_text(json.dumps(metadata), encoding="utf-8-sig")
    for name in audio:
        path = root / "audio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_roles_and_labels(tmp_path):
    audio = write(tmp_path, cliques()) / "audio"
    assert datacos.load(tmp_path) == [
        Track("P_22", "W_15", str(audio / "P_22.mp3"), "test", "both"),
        Track("P_23", "W_15", str(audio / "W_15" / "P_23.npy"), "test", "both"),
        Track("P_30", "W_16", str(audio / "W_16" / "P_30.flac"), "test", "reference"),
    ]


def test_published_features_count_as_recordings(tmp_path):
    audio = write(tmp_path, cliques(), ["W_15/P_22.h5", "W_15/P_23.h5"]) / "audio"
    assert [track.path for track in datacos.load(tmp_path)] == [
        str(audio / "W_15" / "P_22.h5"),
        str(audio / "W_15" / "P_23.h5"),
    ]


def test_features_may_have_been_published_one_by_one(tmp_path):
    names = ["W_15_crema/P_22_crema.h5", "W_15_crema/P_23_chroma_cens.h5"]
    names += ["W_16_cens/P_30_cens.H5"]
    write(tmp_path, cliques(), [*names, "W_15/P_23_crema.mp3"])
    assert [track.id for track in datacos.load(tmp_path)] == ["P_22", "P_23", "P_30"]


def test_accents_may_be_written_otherwise_on_disk(tmp_path):
    listed, stored = (
        unicodedata.normalize(form, "P_caf\u00e9") for form in ("NFC", "NFD")
    )
    write(tmp_path, {"W_1": {listed: entry("W_1", listed)}}, [f"{stored}.mp3"])
    (track,) = datacos.load(tmp_path)
    assert track.path.endswith(f"{stored}.mp3")


def test_metadata_as_unpacked_and_audio_elsewhere(tmp_path):
    write(tmp_path, cliques())
    (tmp_path / "da-tacos_metadata").mkdir()
    (tmp_path / NAME).rename(tmp_path / "da-tacos_metadata" / NAME)
    (tmp_path / "audio").rename(tmp_path / "elsewhere")
    assert len(datacos.load(tmp_path, audio=tmp_path / "elsewhere")) == 3


def test_published_size(tmp_path, caplog):
    works = {f"W_{w}": [f"P_{w}_{v}" for v in range(13)] for w in range(1000)}
    works |= {f"W_{w}": [f"P_{w}"] for w in range(1000, 3000)}
    metadata = {w: {p: entry(w, p) for p in clique} for w, clique in works.items()}
    names = [f"{p}.npy" for clique in works.values() for p in clique]
    with caplog.at_level(logging.WARNING):
        tracks = datacos.load(write(tmp_path, metadata, names))
    assert Counter(track.role for track in tracks) == {"both": 13000, "reference": 2000}
    assert not caplog.text


def test_missing_audio_is_counted(tmp_path, caplog):
    # what is left of a work still asks: the role is a matter of the metadata
    write(tmp_path, cliques(), ["P_22.mp3"])
    with caplog.at_level(logging.WARNING):
        (track,) = datacos.load(tmp_path)
    assert (track.id, track.role) == ("P_22", "both")
    assert "2 performances have no file" in caplog.text


def test_no_audio_of_the_set(tmp_path):
    write(tmp_path, cliques(), ["other.mp3"])
    with pytest.raises(DataError, match="expected files named by performance id"):
        datacos.load(tmp_path)


def change(*keys, to):
    metadata = cliques()
    place = metadata
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return metadata


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ([], "expected an object with works"),
        ({}, "expected an object with works"),
        (change("W_16", to=[]), "key 'W_16': expected an object with performances"),
        (change("W_16", "P_30", to="x"), "key 'W_16', 'P_30': expected an object"),
        (change("W_16", "P_30", "work_id", to="W_15"), "'P_30': its 'work_id' is"),
        (change("W_16", "P_30", "perf_id", to="P_31"), "'P_30': its 'perf_id' is"),
        (
            change("W_16", "P_22", to=entry("W_16", "P_22")),
            "key 'W_16', 'P_22': it is in 'W_15' already",
        ),
    ],
)
def test_malformed_metadata(tmp_path, metadata, message):
    write(tmp_path, metadata)
    with pytest.raises(DataError, match=message):
        datacos.load(tmp_path)


def test_unreadable_metadata(tmp_path):
    with pytest.raises(DataError, match=f"expected {NAME}"):
        datacos.load(tmp_path)
    (tmp_path / NAME).write_text("{")
    with pytest.raises(DataError, match=f"{NAME}: expected JSON"):
        datacos.load(tmp_path)


def shs100k_list(root):
    root.mkdir()
    url = "https://www.youtube.com/watch?v=TMHWEcSKEPI"
    rows = [
        ("0", "0", "TRADE WINDS", "Dodie Stevens [1]"),
        ("0", "1", "Trade Winds", "Dodie Stevens [2]"),
        ("0", "2", "Other Title", "Aki Aleong"),
        ("7", "4", "Alone", "Somebody"),
    ]
    lines = ["\t".join((*row, url, "True")) for row in rows]
    (root / "list").write_text("\n".join(lines))
    return [Track(f"{row[0]}_{row[1]}", row[0], "x.mp3", "train") for row in rows]


def test_overlap_is_removed_by_title_and_performer(tmp_path):
    write(tmp_path, cliques())
    train = shs100k_list(tmp_path / "shs")
    remaining = datacos.without_overlap(train, tmp_path / "shs", tmp_path)
    assert [track.id for track in remaining] == ["0_1", "0_2"]


def test_overlap_needs_names_and_shs100k(tmp_path):
    train = shs100k_list(tmp_path / "shs")
    write(tmp_path, change("W_16", "P_30", "perf_artist", to=None))
    with pytest.raises(DataError, match="key 'P_30': expected the texts"):
        datacos.without_overlap(train, tmp_path / "shs", tmp_path)
    write(tmp_path, cliques())
    with pytest.raises(DataError, match="track 'x' is not in"):
        datacos.without_overlap([Track("x", "y", "z")], tmp_path / "shs", tmp_path)
