from pathlib import Path

import pytest
from random_tunes import tune

from bytecover_tf.errors import DataError
from bytecover_tf.synth.scores import library
from bytecover_tf.synth.scores.corpora import Collection


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Return a function that reads made-up collections and names what it opened."""
    files = {"Airs": ["a.abc", "b.abc", "c.abc"], "Songs": ["1.mid", "2.mid"]}
    opened = tmp_path / "opened"

    def read_file(collection, file, archive):
        with open(opened, "a") as log:
            log.write(f"{file}\n")
        if file == "b.abc":
            yield DataError("'B' has 3 melody notes, expected 24 or more")
        yield tune(len(file), f"{archive} {file}", collection=collection.name)

    monkeypatch.setattr(
        library,
        "COLLECTIONS",
        (Collection("Airs", "none"), Collection("Songs", "none")),
    )
    monkeypatch.setattr(
        library,
        "list_files",
        lambda collection, archive: (
            list(files[collection.name]) if collection.name == "Airs" or archive else []
        ),
    )
    monkeypatch.setattr(library, "read_file", read_file)

    def run(archives=(), samples=None):
        opened.write_text("")
        scores = library.read_scores(
            tmp_path / "scores.jsonl", dict(archives), 1, samples
        )
        return [score.title for score in scores], opened.read_text().split()

    run.cache = tmp_path / "scores.jsonl"
    return run


AIRS = ["None a.abc", "None b.abc", "None c.abc"]
SONGS = {"Songs": Path("songs.zip")}


def test_files_are_read_once(read, capsys):
    assert read() == (AIRS, ["a.abc", "b.abc", "c.abc"])
    assert read() == (AIRS, [])
    assert capsys.readouterr().err.count("skipped: 'B' has 3 melody notes") == 2


def test_another_archive_is_read_alone(read):
    read()
    titles = [*AIRS, "songs.zip 1.mid", "songs.zip 2.mid"]
    assert read(SONGS) == (titles, ["1.mid", "2.mid"])
    assert read() == (AIRS, [])


def test_a_killed_call_goes_on(read):
    read(SONGS)
    whole = read.cache.read_bytes()
    lines = whole.splitlines(keepends=True)
    read.cache.write_bytes(b"".join(lines[:2]) + lines[2][:-1])
    titles, opened = read(SONGS)
    assert opened == ["c.abc", "1.mid", "2.mid"]
    assert titles[:3] == AIRS
    assert len(titles) == 5
    assert read.cache.read_bytes() == whole


def test_samples_are_drawn_by_the_seed(read):
    titles, opened = read(samples={"Airs": 2})
    assert len(set(titles) & set(AIRS)) == len(titles) == 2
    assert read(samples={"Airs": 2}) == (titles, [])
    assert read()[1] == sorted(set(["a.abc", "b.abc", "c.abc"]) - set(opened))


@pytest.mark.parametrize("line", [b'{"title": "A"}\n', b"\xff\n", b"[1, 2]\n"])
def test_a_file_that_is_no_cache_is_named_and_kept(read, line):
    read.cache.write_bytes(line)
    with pytest.raises(DataError, match="scores.jsonl: line 1 is not a file of scores"):
        read()
    assert read.cache.read_bytes() == line
