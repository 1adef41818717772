import sqlite3
from contextlib import closing
from dataclasses import astuple, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from catalogue_rows import DIM, chroma, recording, whole

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.matching import kept_alignments
from bytecover_tf.matching.alignment import NOTHING, Alignment
from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.decisions import Record
from bytecover_tf.matching.duplicates import find_duplicates
from bytecover_tf.matching.grouping import compared_pairs, find_groups
from bytecover_tf.matching.kept_alignments import FILE_NAME, KeptAlignments
from bytecover_tf.matching.screening import align_likely

CALIBRATION = Calibration(-20.0, 10.0)
SECONDS = 60 * seconds_per_frame(Frontend())


def version(number, of, rng, shift=0):
    facts = {"work": recording(number).id, "duration": SECONDS}
    row = whole(number, rng.standard_normal(DIM), **facts)
    return replace(row, chroma=np.roll(chroma(of, 60), shift, axis=0))


def fill(catalogue, rng):
    """Add two versions of each of five works."""
    rows = [version(number, number // 2, rng, number % 2) for number in range(10)]
    catalogue.add(rows)
    return rows


def known(catalogue):
    return {each.id: each for each in catalogue.recordings()}


@pytest.fixture
def kept(tmp_path):
    return partial(KeptAlignments, tmp_path / "kept.sqlite")


def links(catalogue, aligned):
    pairs = compared_pairs(catalogue, CALIBRATION, known(catalogue), 99, 1, aligned)
    return list(pairs)


@pytest.fixture
def counted(monkeypatch):
    """The number of references that each call aligned."""
    counts = []

    def align(query, references, *arguments):
        counts.append(len(references))
        return align_likely(query, references, *arguments)

    monkeypatch.setattr(kept_alignments, "align_likely", align)
    return counts


def test_a_second_run_finds_the_same_and_aligns_nothing(catalogue, rng, counted, kept):
    fill(catalogue, rng)
    expected = find_groups(catalogue, CALIBRATION, 0.9)
    assert len(expected.groups) == 5
    counted.clear()
    with kept() as aligned:
        assert find_groups(catalogue, CALIBRATION, 0.9, kept=aligned) == expected
    assert sum(counted) == 10 * 9 / 2
    counted.clear()
    with kept() as aligned:
        assert find_groups(catalogue, CALIBRATION, 0.9, kept=aligned) == expected
        find_duplicates(catalogue, CALIBRATION, 0.9, kept=aligned)
    assert counted == []


def test_an_interrupted_run_continues(catalogue, rng, counted, kept):
    fill(catalogue, rng)
    expected = links(catalogue, None)
    counted.clear()
    with kept() as aligned:
        # Of the first recording all nine, of the second one of eight.
        some = compared_pairs(catalogue, CALIBRATION, known(catalogue), 99, 1, aligned)
        assert len(list(islice(some, 10))) == 10
        some.close()
    assert counted == [9, 8]
    with kept() as aligned:
        assert links(catalogue, aligned) == expected
    assert sum(counted) == 45


def test_only_what_is_new_is_aligned(catalogue, rng, counted, kept):
    rows = fill(catalogue, rng)
    with kept() as aligned:
        links(catalogue, aligned)
    assert sum(counted) == 45
    # Whole libraries get other tags, and with them other ids in another order.
    catalogue.remove([row.recording.id for row in rows])
    tagged = [
        replace(row, recording=replace(row.recording, id=f"{900 - number:016x}"))
        for number, row in enumerate(rows)
    ]
    catalogue.add([*tagged, version(10, 7, rng)])
    with kept() as aligned:
        links(catalogue, aligned)
    assert sum(counted) == 45 + 10


def test_a_finished_run_forgets_recordings_that_are_gone(
    catalogue, rng, kept, tmp_path
):
    rows = fill(catalogue, rng)

    def count():
        with closing(sqlite3.connect(tmp_path / "kept.sqlite")) as file:
            return file.execute("SELECT count(*) FROM alignments").fetchone()[0]

    with kept() as aligned:
        links(catalogue, aligned)
    assert count() == 10 * 9 / 2
    catalogue.remove([row.recording.id for row in rows[:4]])
    with kept() as aligned:
        next(compared_pairs(catalogue, CALIBRATION, known(catalogue), 99, 1, aligned))
    assert count() == 10 * 9 / 2
    with kept() as aligned:
        links(catalogue, aligned)
    assert count() == 6 * 5 / 2


def test_what_is_kept_is_what_was_aligned(tmp_path, rng):
    query, *references = (chroma(number, 200) for number in range(5))
    references[1] = np.roll(query, (3, 40), axis=(0, 1))
    references[2] = np.roll(query, 6, axis=0)
    similarity = rng.random(4)
    expected = align_likely(query, references, similarity, 1)
    assert [found.transposition for found in expected[1:3]] == [3, 6]
    with KeptAlignments(tmp_path / "a.sqlite") as aligned:
        assert aligned.align(query, references, similarity, 1) == expected
    with KeptAlignments(tmp_path / "a.sqlite") as aligned:
        again = aligned.align(query, references[::-1], similarity, 1)[::-1]
        turned = [aligned.align(each, [query], np.zeros(1))[0] for each in references]
        later = np.roll(query, 1, axis=1)
        both = aligned.align(query, references, similarity, 1, later)
    assert again == expected
    assert both == align_likely(query, references, similarity, 1, later) != expected
    for found, before in zip(turned, expected, strict=True):
        assert found == before.reversed
        assert found.reversed == before
        assert (found.query_start, found.query_end) == (
            *(before.reference_start, before.reference_end),
        )
    assert [found.transposition for found in turned[1:3]] == [-3, 6]
    kinds = [[type(value) for value in vars(found).values()] for found in again]
    assert kinds == [[float, int, int, int, int, int]] * 4


def test_the_format_is_raised_when_alignments_change():
    """If this fails because alignments are better now, raise `_FORMAT` with it."""
    assert kept_alignments._FORMAT == 1
    sounds = [chroma(number, 140) for number in range(40)]
    sounds[30] = np.concatenate([sounds[39], np.roll(sounds[0], 2, 0)], axis=1)
    found = align_likely(sounds[0], sounds[1:], np.linspace(1, 0, 39), 1)
    # The first batch has the version in it, the second none.
    assert sum(one != NOTHING for one in found) == 32
    scores = [found[number].score for number in (0, 1, 2, 29)]
    np.testing.assert_allclose(scores, [0.541, 0.463, 0.433, 38.495], atol=0.002)
    assert astuple(found[29])[1:] == (2, 0, 140, 140, 280)


def test_alignments_of_another_format_are_forgotten(tmp_path, monkeypatch):
    query, reference = chroma(0, 60), chroma(1, 60)
    wrong = [Alignment(99.0, 0, 0, 1, 0, 1)]
    path = tmp_path / "a.sqlite"
    monkeypatch.setattr(kept_alignments, "align_likely", lambda *_: wrong)
    with KeptAlignments(path) as aligned:
        aligned.align(query, [reference], np.zeros(1))
    monkeypatch.undo()
    with KeptAlignments(path) as aligned:
        assert aligned.align(query, [reference], np.zeros(1)) == wrong
    monkeypatch.setattr(kept_alignments, "_FORMAT", 2)
    for _ in range(2):
        with KeptAlignments(path) as aligned:
            found = aligned.align(query, [reference], np.zeros(1))
            assert found == align_likely(query, [reference], np.zeros(1))


def ask(aligned):
    return aligned.align(chroma(0, 60), [chroma(1, 60)], np.zeros(1))


def test_a_file_that_is_something_else_is_begun_anew(kept, tmp_path, capsys, counted):
    path = tmp_path / "kept.sqlite"
    path.write_bytes(b"not a database" * 1000)
    with kept() as aligned:
        expected = ask(aligned)
    assert f"{path}: alignments are not kept: file is not" in capsys.readouterr().err
    with kept() as aligned:
        assert ask(aligned) == expected
    assert counted == [1]
    assert capsys.readouterr().err == ""


def test_a_damaged_file_is_begun_anew(kept, tmp_path, capsys, rng):
    path = tmp_path / "kept.sqlite"
    references = [rng.integers(0, 256, (12, 20), np.uint8) for _ in range(200)]
    with kept() as aligned:
        expected = aligned.align(chroma(0, 60), references, np.zeros(200), 1)
    content = bytearray(path.read_bytes())
    assert len(content) > 3 * 4096
    content[4096:] = b"x" * (len(content) - 4096)
    path.write_bytes(content)
    with kept() as aligned:
        again = aligned.align(chroma(0, 60), references, np.zeros(200), 1)
        assert again == expected
    assert "malformed; begun anew" in capsys.readouterr().err
    with kept() as aligned:
        aligned.align(chroma(0, 60), references, np.zeros(200), 1)
    assert capsys.readouterr().err == ""


def test_a_damaged_file_that_cannot_be_removed_costs_nothing_else(
    kept, tmp_path, capsys, monkeypatch
):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    (tmp_path / "kept.sqlite").write_bytes(b"not a database" * 1000)
    with kept() as aligned:
        assert len(ask(aligned)) == 1
        aligned.forget_others()
    assert "it cannot be begun anew: [Errno 13]" in capsys.readouterr().err


def test_what_cannot_be_kept_is_aligned(kept, tmp_path, capsys, counted):
    with kept() as aligned:
        expected = ask(aligned)
    with kept() as aligned:
        # What is there can still be read.
        aligned._file.execute("PRAGMA query_only = 1")
        other = aligned.align(chroma(0, 60), [chroma(2, 60)], np.zeros(1))
        assert ask(aligned) == expected
        assert aligned.align(chroma(0, 60), [chroma(2, 60)], np.zeros(1)) == other
        aligned.forget_others()
    assert counted == [1, 1, 1]
    told = capsys.readouterr().err
    assert told.count("alignments are not kept: attempt to write a readonly") == 1
    with KeptAlignments(tmp_path / "missing" / "kept.sqlite") as aligned:
        assert ask(aligned) == expected
    assert "unable to open" in capsys.readouterr().err


def test_a_catalogue_on_a_server_keeps_them_beside_its_record(catalogue, tmp_path):
    record = Record(catalogue, tmp_path / "jazz.json")
    with KeptAlignments.of("http://127.0.0.1:19530/jazz", record) as aligned:
        expected = ask(aligned)
        assert (tmp_path / "jazz-alignments.sqlite").exists()
    with KeptAlignments.of("http://127.0.0.1:19530/jazz", None) as aligned:
        assert ask(aligned) == expected
    folder = tmp_path / "jazz.catalogue"
    folder.mkdir()
    with KeptAlignments.of(str(folder), record):
        assert (folder / FILE_NAME).exists()
