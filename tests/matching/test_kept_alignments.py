import sqlite3
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from catalogue_rows import DIM, chroma, recording, whole

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.matching import kept_alignments
from bytecover_tf.matching.alignment import Alignment
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


def kept(catalogue):
    return KeptAlignments.of(catalogue.address, None)


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


def test_a_second_run_finds_the_same_and_aligns_nothing(catalogue, rng, counted):
    fill(catalogue, rng)
    expected = find_groups(catalogue, CALIBRATION, 0.9)
    assert len(expected.groups) == 5
    counted.clear()
    with kept(catalogue) as aligned:
        assert find_groups(catalogue, CALIBRATION, 0.9, kept=aligned) == expected
    assert sum(counted) == 10 * 9 / 2
    counted.clear()
    with kept(catalogue) as aligned:
        assert find_groups(catalogue, CALIBRATION, 0.9, kept=aligned) == expected
        find_duplicates(catalogue, CALIBRATION, 0.9, kept=aligned)
    assert counted == []


def test_an_interrupted_run_continues(catalogue, rng, counted):
    fill(catalogue, rng)
    expected = links(catalogue, None)
    counted.clear()
    with kept(catalogue) as aligned:
        # Of the first recording all nine, of the second one of eight.
        some = compared_pairs(catalogue, CALIBRATION, known(catalogue), 99, 1, aligned)
        assert len(list(islice(some, 10))) == 10
        some.close()
    assert counted == [9, 8]
    with kept(catalogue) as aligned:
        assert links(catalogue, aligned) == expected
    assert sum(counted) == 45


def test_only_what_is_new_is_aligned(catalogue, rng, counted):
    rows = fill(catalogue, rng)
    with kept(catalogue) as aligned:
        links(catalogue, aligned)
    assert sum(counted) == 45
    # Whole libraries get other tags, and with them other ids.
    catalogue.remove([row.recording.id for row in rows])
    tagged = [
        replace(row, recording=replace(row.recording, id=f"{number:016x}"))
        for number, row in enumerate(rows)
    ]
    catalogue.add([*tagged, version(10, 7, rng)])
    with kept(catalogue) as aligned:
        links(catalogue, aligned)
    assert sum(counted) == 45 + 10


def test_a_finished_run_forgets_recordings_that_are_gone(catalogue, rng):
    rows = fill(catalogue, rng)
    path = Path(catalogue.address) / FILE_NAME

    def count():
        with sqlite3.connect(path) as file:
            return file.execute("SELECT count(*) FROM alignments").fetchone()[0]

    with kept(catalogue) as aligned:
        links(catalogue, aligned)
    # The last one has all others behind it.
    assert count() == 9
    catalogue.remove([row.recording.id for row in rows[:4]])
    with kept(catalogue) as aligned:
        next(compared_pairs(catalogue, CALIBRATION, known(catalogue), 99, 1, aligned))
    assert count() == 9
    with kept(catalogue) as aligned:
        links(catalogue, aligned)
    assert count() == 5


def test_what_is_kept_is_what_was_aligned(tmp_path, rng):
    query, *references = (chroma(number, 200) for number in range(5))
    similarity = rng.random(4)
    later = np.roll(query, 1, axis=1)
    with KeptAlignments(tmp_path / "a.sqlite") as aligned:
        expected = aligned.align(query, references, similarity, 1)
        both = aligned.align(query, references, similarity, 1, later)
    assert expected == align_likely(query, references, similarity, 1)
    assert both == align_likely(query, references, similarity, 1, later)
    assert both != expected
    with KeptAlignments(tmp_path / "a.sqlite") as aligned:
        again = aligned.align(query, references[::-1], similarity, 1)
        assert again == expected[::-1]
        assert aligned.align(query, references, similarity, 1, later) == both


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


@pytest.mark.parametrize("damage", ["no database", "another table", "damaged row"])
def test_without_a_usable_file_all_is_aligned(tmp_path, capsys, damage):
    path = tmp_path / "a.sqlite"
    query, reference = chroma(0, 60), chroma(1, 60)
    with KeptAlignments(path) as aligned:
        expected = aligned.align(query, [reference], np.zeros(1))
    if damage == "no database":
        path.write_bytes(b"not a database" * 1000)
    else:
        with sqlite3.connect(path) as file:
            if damage == "another table":
                file.execute("DROP TABLE alignments")
                file.execute("CREATE TABLE alignments (some TEXT)")
            else:
                file.execute("UPDATE alignments SET aligned = x'00'")
        file.close()
    with KeptAlignments(path) as aligned:
        for _ in range(2):
            assert aligned.align(query, [reference], np.zeros(1)) == expected
        aligned.forget_others()
    told = capsys.readouterr().err
    assert told.count("alignments are not kept") == 1
    assert str(path) in told


def test_a_catalogue_on_a_server_keeps_them_beside_its_record(catalogue, tmp_path):
    record = Record(catalogue, tmp_path / "jazz.json")
    with KeptAlignments.of("http://127.0.0.1:19530/jazz", record):
        assert (tmp_path / "jazz-alignments.sqlite").exists()
    with KeptAlignments.of("http://127.0.0.1:19530/jazz", None) as aligned:
        assert len(aligned.align(chroma(0, 60), [chroma(1, 60)], np.zeros(1))) == 1
