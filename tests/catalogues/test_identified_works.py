"""Identifiers on their way from tags and manifests into a catalogue."""

import json
from dataclasses import asdict, replace

import mutagen
import pytest
import soundfile
from catalogue_rows import IDENTITY, whole
from projection import DIM, FRONTEND, Projection, Serial

from bytecover_tf.catalogues import Identity, indexing, lance, open_catalogue, rows
from bytecover_tf.catalogues.finding import find_files
from bytecover_tf.catalogues.indexing import index_files
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.matching import review
from bytecover_tf.matching.decisions import Record
from bytecover_tf.matching.grouping import Group

pytest.importorskip("lancedb")

ISWC = "T-034.524.680-1"
UUID = "b1df2cf3-69a9-3bc0-be44-f71e79b27a22"


@pytest.fixture(autouse=True)
def no_processes(monkeypatch):
    monkeypatch.setattr(indexing, "ProcessMap", Serial)


@pytest.fixture
def catalogue(tmp_path):
    identity = Identity("e" * 64, FRONTEND, DIM)
    with open_catalogue(tmp_path / "catalogue", identity, create=True) as made:
        yield made


@pytest.fixture
def folder(tmp_path, music):
    folder = tmp_path / "music"
    folder.mkdir()
    for number in range(4):
        path = folder / f"{number}.flac"
        soundfile.write(path, music(4 + number, seed=number), 22050)
    return folder


def tag(path, **tags):
    file = mutagen.File(path)
    file.update(tags)
    file.save()


def index(catalogue, folder, manifest=None, decisions=None):
    files = find_files([folder], manifest)
    load = Encoder(Projection())
    return index_files(
        catalogue,
        lambda: load,
        files.paths,
        files.works,
        facts=files.facts,
        decisions=decisions,
    )


def known(catalogue):
    return {int(item.path[-6]): item for item in catalogue.recordings()}


def test_tags_are_kept_and_followed(catalogue, folder):
    tag(folder / "0.flac", isrc="gb-aye-06-01498", composer="One", date="1999-01-01")
    tag(folder / "1.flac", isrc="odd", album="Live")
    report = index(catalogue, folder)
    found = known(catalogue)
    assert (found[0].isrc, found[0].composer, found[0].year) == (
        *("GBAYE0601498", "One", "1999"),
    )
    assert (found[1].isrc, found[1].album) == ("odd", "Live")
    assert found[1].malformed == {"isrc": ["odd"]}
    (told,) = report.malformed.values()
    assert "isrc 'odd', expected twelve characters such as GBAYE0601498" in told
    assert found[2].isrc == ""
    assert index(catalogue, folder).malformed == {}
    tag(folder / "1.flac", isrc="GBAYE0601499")
    assert index(catalogue, folder).changed == 1
    assert known(catalogue)[1].isrc == "GBAYE0601499"


def test_the_same_identifier_means_the_same_work(catalogue, folder):
    tag(folder / "0.flac", iswc="T0345246801")
    tag(folder / "1.flac", iswc=ISWC, musicbrainz_workid=UUID)
    tag(folder / "2.flac", musicbrainz_workid=UUID)
    tag(folder / "3.flac", iswc=f"{ISWC}; T-010.190.038-2")
    index(catalogue, folder)
    found = known(catalogue)
    assert [found[number].work for number in range(3)] == [ISWC] * 3
    # A medley is a work of its own.
    assert found[3].work == found[3].id


def test_a_named_work_is_that_of_its_identifier(catalogue, folder, tmp_path):
    tag(folder / "0.flac", iswc=ISWC)
    manifest = tmp_path / "list.csv"
    manifest.write_text("work,path\nYesterday,music/0.flac\n")
    index(catalogue, folder / "0.flac", manifest)
    tag(folder / "1.flac", iswc=ISWC)
    index(catalogue, folder)
    found = known(catalogue)
    assert found[0].work == found[1].work == "Yesterday"
    # What was decided since is kept while the identifiers are the same.
    catalogue.update([replace(found[1], work=found[1].id)])
    tag(folder / "1.flac", title="New")
    index(catalogue, folder)
    found = known(catalogue)
    assert found[1].title == "New"
    assert not found[1].has_named_work
    # And given up when the tags are set right.
    tag(folder / "1.flac", iswc="T-010.190.038-2")
    index(catalogue, folder)
    assert known(catalogue)[1].work != "Yesterday"


def test_a_recording_stays_in_the_identified_work_that_a_person_put_it_into(
    catalogue, folder
):
    tag(folder / "0.flac", iswc=ISWC)
    index(catalogue, folder)
    record = Record(catalogue)
    ids = [known(catalogue)[number].id for number in range(2)]
    review.decide(catalogue, ids, True, record=record)
    tag(folder / "1.flac", iswc="T-010.190.038-2")
    assert index(catalogue, folder, decisions=record).kept == 1
    found = known(catalogue)
    assert (found[1].work, found[1].iswc) == (ISWC, "T-010.190.038-2")
    assert index(catalogue, folder, decisions=record).kept == 0
    # One that was split off is in no work, so a new identifier says which is its own.
    review.split(catalogue, [found[1].id], record=record)
    assert not known(catalogue)[1].has_named_work
    tag(folder / "1.flac", iswc="T-000.000.001-0")
    assert index(catalogue, folder, decisions=record).kept == 0
    assert known(catalogue)[1].work == "T-000.000.001-0"


@pytest.mark.parametrize("first", [None, "0.flac", "1.flac"])
def test_a_name_reaches_all_recordings_of_an_identified_work(
    catalogue, folder, tmp_path, first
):
    """Whichever of them comes first, and whether or not they were known before."""
    for number in (0, 1, 2):
        tag(folder / f"{number}.flac", iswc=ISWC)
    if first:
        index(catalogue, folder / first)
    manifest = tmp_path / "list.csv"
    manifest.write_text("work,path\nYesterday,music/1.flac\n")
    report = index(catalogue, folder, manifest)
    assert report.renamed == bool(first)
    found = known(catalogue)
    assert [found[number].work for number in range(3)] == ["Yesterday"] * 3
    assert not found[3].has_named_work


@pytest.mark.parametrize("how", ["renamed and retagged", "changed places"])
def test_a_split_stays_when_files_move(catalogue, folder, how):
    for number in (0, 1):
        tag(folder / f"{number}.flac", iswc=ISWC)
    index(catalogue, folder)
    split = replace(known(catalogue)[1], work=known(catalogue)[1].id)
    catalogue.update([split])
    if how == "renamed and retagged":
        (folder / "1.flac").rename(folder / "9.flac")
        tag(folder / "9.flac", title="New")
    else:
        (folder / "1.flac").rename(folder / "9.flac")
        (folder / "2.flac").rename(folder / "1.flac")
        (folder / "9.flac").rename(folder / "2.flac")
    index(catalogue, folder)
    moved = known(catalogue)[9 if how == "renamed and retagged" else 2]
    assert moved.iswc == ISWC
    assert moved.work == split.work


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_manifest_may_give_them(catalogue, folder, tmp_path, suffix):
    tag(folder / "0.flac", isrc="GBAYE0601498", album="Live")
    manifest = tmp_path / f"list{suffix}"

    def write(isrc):
        row = {"work": "w", "path": "music/0.flac", "isrc": isrc, "composer": "One"}
        if suffix == ".csv":
            text = f"{','.join(row)}\n{','.join(row.values())}\n"
        else:
            text = json.dumps({**row, "year": 1999}) + "\n"
        manifest.write_text(text)

    write("us-rc1-76-07839")
    index(catalogue, folder, manifest)
    found = known(catalogue)[0]
    assert (found.isrc, found.composer, found.album) == ("USRC17607839", "One", "Live")
    assert found.year == ("" if suffix == ".csv" else "1999")
    write("wrong")
    report = index(catalogue, folder, manifest)
    assert (report.retagged, report.present) == (1, 3)
    assert "isrc 'wrong'" in report.malformed[str(folder / "0.flac")]
    assert known(catalogue)[0].isrc == "wrong"
    assert index(catalogue, folder, manifest).present == 4


def make_old(monkeypatch, module=lance):
    """Have catalogues be made as older versions of the package did."""
    monkeypatch.setattr(module, "ADDED_COLUMNS", {})


def test_a_catalogue_of_an_older_version_is_filled(tmp_path, folder, monkeypatch):
    tag(folder / "0.flac", isrc="GBAYE0601498", title="First", iswc=ISWC)
    identity = Identity("e" * 64, FRONTEND, DIM)
    address = tmp_path / "old"
    with monkeypatch.context() as patch:
        make_old(patch)
        with open_catalogue(address, identity, create=True) as old:
            index(old, folder)
    with open_catalogue(address) as opened, open_catalogue(address) as reader:
        assert "isrc" not in opened._table.schema.names
        before = {row.key: row for row in opened.rows()}
        # It is as good as it was: read, searched and changed.
        (hits,) = opened.search(next(iter(before.values())).embedding[None])
        assert len(hits) == 4
        first = known(opened)[0]
        assert (first.title, first.isrc, first.tags_read) == ("First", "", 0)
        opened.update([replace(first, title="Changed", work=first.id)])
        assert known(reader)[0].title == "Changed"

        # The same command as ever reads the tags, without reading the sound.
        report = index_files(opened, pytest.fail, find_files([folder]).paths)
        assert (report.renamed, report.present) == (1, 3)
        for each in (opened, reader):
            assert known(each)[0].isrc == "GBAYE0601498"
            assert known(each)[0].work == ISWC
        assert {item.tags_read for item in opened.recordings()} == {1}
        assert opened.verify().is_sound
        after = {row.key: row for row in opened.rows()}
        for key, row in before.items():
            assert after[key].embedding.tobytes() == row.embedding.tobytes()
            assert after[key].chroma.tobytes() == row.chroma.tobytes()
        assert index_files(opened, pytest.fail, find_files([folder]).paths).present == 4
        # Who opened it before the columns were there writes them too.
        reader.update([replace(known(reader)[1], isrc="USRC17607839")])
        assert known(opened)[1].isrc == "USRC17607839"


@pytest.mark.milvus
def test_a_server_that_adds_no_columns_keeps_what_it_can(rng, monkeypatch, tmp_path):
    import milvus_server

    from bytecover_tf.catalogues import milvus

    address = milvus_server.new_address()
    with monkeypatch.context() as patch:
        make_old(patch, milvus)
        with open_catalogue(address, IDENTITY, create=True) as old:
            old.add([whole(0, rng.standard_normal(16))])
    with open_catalogue(address) as opened:
        (item,) = opened.recordings()
        assert (item.title, item.isrc) == ("It's “0”", "")
        has_room = opened.make_room()
        opened.update([replace(item, title="New", isrc="GBAYE0601498")])
        (item,) = opened.recordings()
        assert item.title == "New"
        assert item.isrc == ("GBAYE0601498" if has_room else "")
        (hits,) = opened.search(rng.standard_normal((1, 16)))
        assert hits[0].recording == item


def test_all_columns_are_those_of_a_recording():
    added = {**rows.COLUMNS, **rows.ADDED_COLUMNS}
    made = whole(0, [1.0] * 16)
    stored = made.to_dict()
    assert added.keys() == stored.keys() - {"embedding", "chroma", "digest"}
    assert all(isinstance(stored[name], kind) for name, kind in added.items())
    assert asdict(made.recording).keys() <= added.keys()


def test_a_group_is_called_by_its_name_rather_than_by_an_identifier():
    def group(*works):
        return Group([replace(whole(0, [1.0]).recording, work=work) for work in works])

    assert group("Yesterday", ISWC, "0" * 16).work == "Yesterday"
    assert group(ISWC, "0" * 16).work == ISWC
    assert group(ISWC, UUID).work is None
    assert group("Yesterday", "Today", ISWC).work is None
