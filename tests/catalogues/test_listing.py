import json

import pytest
from catalogue_rows import DIM, whole

from bytecover_tf.catalogue import main
from bytecover_tf.catalogues.listing import find_ids, find_recordings


@pytest.fixture
def filled(catalogue, rng):
    known = [
        {
            "title": "Ça ira",
            "artist": "Édith Piaf",
            "album": "B",
            "isrc": "FRZ199800212",
        },
        {"title": "Yesterday", "artist": "Édith Piaf", "album": "A", "year": "1965"},
        {"title": "Yesterday", "artist": "Ä", "iswc": "T-034.524.680-1", "isrc": "odd"},
    ]
    catalogue.add(
        [
            whole(number, rng.standard_normal(DIM), **changes)
            for number, changes in enumerate(known)
        ]
    )
    return catalogue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [2, 1, 0]),
        ("YESTERDAY", [2, 1]),
        ("édith yesterday", [1]),
        ("e\u0301dith yesterday", [1]),
        ("fr-z19-98-00212", [0]),
        ("t0345246801", [2]),
        ("1965", [1]),
        ("music/2", [2]),
        ("0000000000000002", [2]),
        ("work piaf", [1, 0]),
        ("nothing", []),
    ],
)
def test_all_words_must_occur(filled, text, expected):
    # By artist, album and title: É is after Ä, A before B.
    assert [int(item.id, 16) for item in find_recordings(filled, text)] == expected


def test_accents_of_a_path_are_written_either_way(catalogue, rng):
    decomposed, composed = "/music/Noe\u0308l.mp3", "/music/No\u00ebl.mp3"
    row = whole(1, rng.standard_normal(DIM), path=decomposed)
    catalogue.add([row])
    assert find_recordings(catalogue, "no\u00ebl") == [row.recording]
    names = [composed, decomposed, "/music/Noel.mp3"]
    found = find_ids(catalogue, names)
    assert [found[name] for name in names] == [row.recording.id] * 2 + [None]
    # Two files may differ in that alone.
    other = whole(2, rng.standard_normal(DIM), path=composed)
    catalogue.add([other])
    found = find_ids(catalogue, names)
    ids = [other.recording.id, row.recording.id, None]
    assert [found[name] for name in names] == ids


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["remove"], "remove needs"),
        (["info", "--json"], "not for info"),
        (["verify", "--csv"], "not for verify"),
    ],
)
def test_what_an_action_cannot_do_is_refused(arguments, reason, capsys):
    with pytest.raises(SystemExit):
        main([*arguments, "--catalogue", "any"])
    assert reason in capsys.readouterr().err


def test_a_path_is_shown_whole(catalogue, address, rng, capsys):
    path = f"/music/{'folder/' * 9}song.mp3"
    row = whole(1, rng.standard_normal(DIM), path=path, title="long " * 20)
    catalogue.add([row])
    assert main(["list", "--catalogue", address]) == 0
    told = capsys.readouterr().out
    assert f"{path}\n" in told
    assert "long " * 9 not in told


def test_the_command_lists(filled, address, capsys):
    options = ["list", "--catalogue", address]
    assert main([*options, "yesterday"]) == 0
    told = capsys.readouterr().out
    assert "Édith Piaf - Yesterday" in told
    assert "odd?" in told
    assert "2 recordings" in told
    assert main([*options, "--json", "t-034.524.680-1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["iswc"], found["isrc"]) == ("T-034.524.680-1", "odd")
    assert found["malformed"] == ["isrc"]
    assert main([*options, "--csv", "ça ira"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert dict(zip(head.split(","), line.split(","), strict=True))["isrc"] == (
        "FRZ199800212"
    )
    assert main([*options, "nothing"]) == 2
