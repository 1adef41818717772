import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from projection import DIM, FRONTEND, Projection, Serial

from bytecover_tf.catalogues import Identity, Segmenting, indexing, open_catalogue
from bytecover_tf.catalogues.finding import find_files
from bytecover_tf.catalogues.indexing import index_files
from bytecover_tf.catalogues.pruning import prune
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.errors import CatalogueError, DataError
from bytecover_tf.files import content_hash
from bytecover_tf.matching import review
from bytecover_tf.matching.decisions import Record

pytest.importorskip("lancedb")


@pytest.fixture(autouse=True)
def no_processes(monkeypatch):
    monkeypatch.setattr(indexing, "ProcessMap", Serial)


@pytest.fixture
def encoder():
    return Encoder(Projection())


@pytest.fixture
def catalogue(tmp_path):
    identity = Identity("e" * 64, FRONTEND, DIM)
    with open_catalogue(tmp_path / "catalogue", identity, create=True) as made:
        yield made


@pytest.fixture
def folder(tmp_path, music):
    """Four recordings of 4 to 7 s."""
    folder = tmp_path / "music"
    folder.mkdir()
    for number in range(4):
        soundfile.write(
            folder / f"{number}.flac", music(4 + number, seed=number), 22050
        )
    return folder


def index(catalogue, encoder, folder, **options):
    return index_files(
        catalogue, lambda: encoder, find_files([folder]).paths, **options
    )


def contents(catalogue):
    """Everything that is stored, in comparable form."""
    return {
        row.key: (row.recording, row.start, row.end, row.embedding.tobytes())
        for row in catalogue.rows()
    }


def by_name(catalogue):
    return {Path(item.path).name: item for item in catalogue.recordings()}


def test_recordings_are_what_the_encoder_and_the_tags_say(catalogue, encoder):
    files = sorted(tunes.AUDIO.glob("*.ogg"))[:2]
    report = index_files(catalogue, lambda: encoder, map(str, files))
    assert (report.added, report.failed) == (2, {})
    expected = encoder.embed_audio(files)
    rows = {row.recording.path: row for row in catalogue.rows()}
    for path, embedding in zip(files, expected, strict=True):
        row = rows[str(path)]
        np.testing.assert_allclose(row.embedding, embedding, atol=1e-5)
        known = row.recording
        assert known.content == content_hash(path)
        assert known.id == known.work == known.content[:16]
        assert known.title == path.stem
        info = soundfile.info(path)
        assert 0 <= info.duration - known.duration < FRONTEND.seconds_per_frame
        assert (row.segment, row.start, row.end) == (0, 0, known.duration)
        _, chroma = FRONTEND.extract_with_chroma(path)
        assert np.abs(row.chroma.astype(int) - chroma).max() <= 8


def test_features_of_hours_are_stored_before_more_are_read(
    catalogue, encoder, folder, monkeypatch
):
    monkeypatch.setattr(indexing, "_BATCH_BYTES", 84 * 10 * 4)
    rows, sizes = [], []

    def add(some, real=catalogue.add):
        sizes.append(len({row.recording.id for row in some}))
        rows.extend(some)
        real(some)

    monkeypatch.setattr(catalogue, "add", add)
    assert index(catalogue, encoder, folder).added == 4
    # Of 8, 10, 12 and 15 frames.
    assert sizes == [2, 1, 1]
    assert len(contents(catalogue)) == len(rows) == 4


def test_the_second_run_does_nothing(catalogue, encoder, folder, monkeypatch):
    index(catalogue, encoder, folder)
    before = contents(catalogue)
    # Not even read: neither the encoder nor the extraction may be called.
    monkeypatch.setattr(indexing, "ProcessMap", lambda *_, **__: None)
    report = index(catalogue, None, folder)
    assert report.present == 4
    assert not report.has_changed_something
    assert contents(catalogue) == before


def test_a_touched_file_is_not_embedded_again(catalogue, encoder, folder):
    index(catalogue, encoder, folder)
    os.utime(folder / "1.flac", ns=(1, 1))
    report = index(catalogue, None, folder)
    assert report.present == 4
    assert by_name(catalogue)["1.flac"].mtime_ns == 1


def test_a_changed_file_replaces_its_rows(catalogue, encoder, folder, music):
    index(catalogue, encoder, folder)
    old = by_name(catalogue)
    soundfile.write(folder / "1.flac", music(9, seed=9), 22050)
    report = index(catalogue, encoder, folder)
    assert (report.changed, report.present, report.added) == (1, 3, 0)
    new = by_name(catalogue)
    assert catalogue.count() == 4
    assert new["1.flac"].content == content_hash(folder / "1.flac")
    assert new["1.flac"].content != old["1.flac"].content
    assert {name: new[name] for name in ("0.flac", "2.flac", "3.flac")} == {
        name: old[name] for name in ("0.flac", "2.flac", "3.flac")
    }


def test_a_changed_file_keeps_a_work_it_was_given(catalogue, encoder, folder, music):
    index(catalogue, encoder, folder, works={str(folder / "1.flac"): "yesterday"})
    assert by_name(catalogue)["1.flac"].work == "yesterday"
    for name in ("0.flac", "1.flac"):
        soundfile.write(folder / name, music(9, seed=int(name[0]) + 9), 22050)
    index(catalogue, encoder, folder)
    found = by_name(catalogue)
    assert found["1.flac"].work == "yesterday"
    assert found["0.flac"].work == found["0.flac"].id


def test_a_kill_does_not_lose_a_work_that_was_given(
    catalogue, encoder, folder, music, monkeypatch
):
    index(catalogue, encoder, folder)
    old = by_name(catalogue)["1.flac"]
    soundfile.write(folder / "1.flac", music(9, seed=9), 22050)

    def give(done, of):  # while the file is read
        catalogue.update([replace(old, work="given")])

    def die(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(indexing._Indexing, "_remove_replaced", die)
        with pytest.raises(KeyboardInterrupt):
            index(catalogue, encoder, folder, tell=give)
    assert catalogue.count() == 5
    index(catalogue, encoder, folder)
    assert catalogue.count() == 4
    found = by_name(catalogue)["1.flac"]
    assert (found.content, found.work) == (content_hash(folder / "1.flac"), "given")


def test_a_moved_file_keeps_its_identity(catalogue, encoder, folder):
    index(catalogue, encoder, folder, works={str(folder / "1.flac"): "yesterday"})
    before = contents(catalogue)
    old = by_name(catalogue)["1.flac"]
    (folder / "below").mkdir()
    (folder / "1.flac").rename(folder / "below" / "one.flac")
    report = index(catalogue, None, folder)
    assert (report.moved, report.added, report.copies) == (1, 0, {})
    new = by_name(catalogue)["one.flac"]
    assert (new.id, new.work, new.content) == (old.id, old.work, old.content)
    assert new.title == "one"
    after = contents(catalogue)
    assert after.keys() == before.keys()
    assert after[f"{old.id}:0"][3] == before[f"{old.id}:0"][3]


def test_two_files_that_changed_places(catalogue, encoder, folder):
    index(catalogue, encoder, folder)
    old = by_name(catalogue)
    (folder / "0.flac").rename(folder / "x")
    (folder / "1.flac").rename(folder / "0.flac")
    (folder / "x").rename(folder / "1.flac")
    report = index(catalogue, None, folder)
    assert report.moved == 2
    new = by_name(catalogue)
    assert (new["0.flac"].id, new["1.flac"].id) == (old["1.flac"].id, old["0.flac"].id)
    assert catalogue.count() == 4


def test_a_file_that_moved_while_another_took_its_name(
    catalogue, encoder, folder, music
):
    index(catalogue, encoder, folder)
    old = by_name(catalogue)["0.flac"]
    (folder / "0.flac").rename(folder / "z.flac")
    soundfile.write(folder / "0.flac", music(9, seed=9), 22050)
    index(catalogue, encoder, folder)
    new = by_name(catalogue)
    assert new["z.flac"].id == old.id
    assert new["0.flac"].content == content_hash(folder / "0.flac")
    assert catalogue.count() == 5
    assert catalogue.verify(find_files([folder]).paths).is_sound


def test_copies_and_links_are_read_once(catalogue, encoder, folder, monkeypatch):
    for number in range(2):
        shutil.copy(folder / f"{number}.flac", folder / f"8 copy of {number}.flac")
    (folder / "0 link.flac").symlink_to(folder / "2.flac")
    (folder / "9 link.flac").symlink_to(folder / "2.flac")
    first = index(catalogue, encoder, folder)
    read = []
    take = indexing._Indexing._take

    def taken(run, path, result):
        read.append(Path(path).name)
        return take(run, path, result)

    monkeypatch.setattr(indexing._Indexing, "_take", taken)
    again = index(catalogue, encoder, folder)
    assert read == []
    assert (again.present, again.copies) == (6, first.copies)
    # A copy that has changed is looked at, and one whose recording is gone.
    retagged(folder / "8 copy of 0.flac")
    (folder / "1.flac").unlink()
    read.clear()
    changed = index(catalogue, encoder, folder)
    assert sorted(read) == ["8 copy of 0.flac", "8 copy of 1.flac"]
    assert (changed.added, changed.moved, changed.copies) == (1, 1, {})


def test_copies_are_read_again_without_their_file(catalogue, encoder, folder):
    shutil.copy(folder / "1.flac", folder / "1 again.flac")
    first = index(catalogue, encoder, folder)
    kept = Path(catalogue.address) / "copies.json"
    for text in ("", "[]", '{"a": 1}', '{"a": [1, 2]}'):
        kept.write_text(text)
        assert index(catalogue, encoder, folder).copies == first.copies
    assert len(json.loads(kept.read_text())) == 1


@pytest.fixture
def copied(catalogue, encoder, folder):
    """1.flac and a copy of it, of a work that was given; the folder of the copy."""
    elsewhere = folder.with_name("elsewhere")
    elsewhere.mkdir()
    shutil.copy(folder / "1.flac", elsewhere / "1 again.flac")
    paths = find_files([folder, elsewhere]).paths
    assert index_files(catalogue, lambda: encoder, paths).copies
    catalogue.update([replace(by_name(catalogue)["1.flac"], work="named")])
    return elsewhere


@pytest.mark.parametrize("how", ["replaced", "retagged", "pruned"])
def test_a_recording_stays_in_its_copy(how, catalogue, encoder, folder, copied, music):
    if how == "replaced":
        soundfile.write(folder / "1.flac", music(5, seed=9), 22050)
    elif how == "retagged":
        retagged(folder / "1.flac")
    else:
        (folder / "1.flac").unlink()
    report = index(catalogue, encoder, folder)
    if how == "pruned":
        assert prune(catalogue, [str(folder)]) == 0
    else:
        assert (report.changed, report.moved) == (1, 1)
    found = by_name(catalogue)
    assert found["1 again.flac"].work == "named"
    assert found["1 again.flac"].is_unchanged
    assert ("1.flac" in found) == (how != "pruned")
    if how == "replaced":
        assert not found["1.flac"].has_named_work
    elif how == "retagged":
        assert found["1.flac"].work == "named"
    assert not index(catalogue, encoder, copied).has_changed_something


def test_a_recording_that_another_run_has_found_elsewhere_stays(
    catalogue, encoder, folder, music, monkeypatch
):
    index(catalogue, encoder, folder)
    before = by_name(catalogue)["1.flac"]
    elsewhere = str(folder.with_name("elsewhere.flac"))
    finish = indexing._Indexing._remove_replaced

    def meanwhile(self):
        catalogue.update([replace(before, path=elsewhere, work="named")])
        finish(self)

    monkeypatch.setattr(indexing._Indexing, "_remove_replaced", meanwhile)
    soundfile.write(folder / "1.flac", music(5, seed=9), 22050)
    assert index(catalogue, encoder, folder).changed == 1
    found = by_name(catalogue)
    assert found["elsewhere.flac"].work == "named"
    assert not found["1.flac"].has_named_work


def test_copies_are_one_recording_at_the_first_path(catalogue, encoder, folder):
    shutil.copy(folder / "2.flac", folder / "0 first.flac")
    shutil.copy(folder / "2.flac", folder / "z last.flac")
    report = index(catalogue, encoder, folder)
    names = {Path(path).name for path in report.copies}
    assert names == {"2.flac", "z last.flac"}
    assert set(by_name(catalogue)) == {"0 first.flac", "0.flac", "1.flac", "3.flac"}
    before = contents(catalogue)
    report = index(catalogue, None, folder)
    assert len(report.copies) == 2
    assert not report.has_changed_something
    assert contents(catalogue) == before
    # A copy elsewhere does not take over.
    other = folder.parent / "backup"
    other.mkdir()
    shutil.copy(folder / "1.flac", other / "1.flac")
    index(catalogue, None, other)
    assert contents(catalogue) == before
    (folder / "0 first.flac").unlink()
    index(catalogue, None, folder)
    assert "2.flac" in by_name(catalogue)
    assert catalogue.count() == 4


def test_bad_files_are_named_and_keep_nothing_from_the_others(
    catalogue, encoder, folder, music
):
    index(catalogue, encoder, folder)
    (folder / "1.flac").write_bytes(b"broken")
    (folder / "text.mp3").write_text("no audio\n" * 99)
    soundfile.write(folder / "short.wav", music(0.1), 22050)
    strange = os.fsencode(str(folder)) + b"/\xff.flac"
    shutil.copy(os.fsencode(str(folder / "0.flac")), strange)
    report = index(catalogue, encoder, folder)
    assert {Path(path).name for path in report.failed} == {
        "1.flac",
        "text.mp3",
        "short.wav",
        os.fsdecode(b"\xff.flac"),
    }
    # What was there before stays until the file can be read again.
    assert "1.flac" in by_name(catalogue)
    assert catalogue.count() == 4
    assert report.present == 3


def test_a_manifest_names_works(catalogue, encoder, folder, tmp_path):
    manifest = tmp_path / "list.csv"
    manifest.write_text("work,path\nyesterday,music/0.flac\nyesterday,music/1.flac\n")
    files = find_files([], manifest)
    index_files(catalogue, lambda: encoder, files.paths, files.works)
    index(catalogue, encoder, folder)
    found = by_name(catalogue)
    assert [found[f"{n}.flac"].work == "yesterday" for n in range(4)] == [
        *(True, True, False, False)
    ]
    manifest.write_text("work,path\nhelp,music/1.flac\n")
    files = find_files([], manifest)
    report = index_files(catalogue, lambda: None, files.paths, files.works)
    assert report.renamed == 1
    assert by_name(catalogue)["1.flac"].work == "help"


def test_a_file_that_a_manifest_lists_and_is_gone_costs_only_itself(
    catalogue, encoder, folder, tmp_path
):
    manifest = tmp_path / "list.csv"
    manifest.write_text("work,path\nyesterday,music/gone.flac\nhelp,music/1.flac\n")
    files = find_files([], manifest)
    report = index_files(catalogue, lambda: encoder, files.paths, files.works)
    assert report.added == 1
    ((gone, reason),) = report.failed.items()
    assert gone == str(folder / "gone.flac")
    assert gone in reason
    assert by_name(catalogue)["1.flac"].work == "help"


def test_only_what_is_gone_below_the_folders_is_pruned(catalogue, encoder, folder):
    index(catalogue, encoder, folder)
    (folder / "1.flac").unlink()
    index(catalogue, encoder, folder)
    assert catalogue.count() == 4
    assert prune(catalogue, [str(folder / "other"), str(folder)[:-1]]) == 0
    assert prune(catalogue, [str(folder)]) == 1
    assert set(by_name(catalogue)) == {"0.flac", "2.flac", "3.flac"}


def test_what_cannot_be_seen_is_not_gone(catalogue, encoder, folder, monkeypatch):
    index(catalogue, encoder, folder)
    stat = os.stat

    def refuse(path, **options):
        if str(path).endswith("1.flac"):
            raise PermissionError(13, "Permission denied", path)
        return stat(path, **options)

    with monkeypatch.context() as unseen:
        unseen.setattr(os, "stat", refuse)
        assert prune(catalogue, [str(folder)]) == 0
        found = catalogue.verify()
    assert found.unreadable == [str(folder / "1.flac")]
    assert found.missing == found.changed == []
    assert catalogue.count() == 4


def test_an_emptied_folder_is_pruned_only_if_asked_again(catalogue, encoder, folder):
    disk = folder / "disk"
    disk.mkdir()
    shutil.move(folder / "1.flac", disk)
    index(catalogue, encoder, folder)
    (disk / "1.flac").unlink()
    with pytest.raises(CatalogueError, match=f"{disk} is empty now"):
        prune(catalogue, [str(folder)])
    assert catalogue.count() == 4
    disk.rmdir()  # as who throws an album away
    assert prune(catalogue, [str(folder)]) == 1


def test_most_of_a_library_is_pruned_only_if_asked_again(catalogue, encoder, folder):
    index(catalogue, encoder, folder)
    rows = list(catalogue.rows())
    for number in range(4, 8):
        name = f"{number}" * 64
        other = replace(
            rows[0].recording, id=name[:16], content=name, path=str(folder / name)
        )
        catalogue.add([replace(rows[0], recording=other)])
    (folder / "3.flac").unlink()
    with pytest.raises(CatalogueError, match="5 of 8 recordings are gone"):
        prune(catalogue, [str(folder)])
    assert prune(catalogue, [str(folder)], even_many=True) == 5


def test_windows_are_embedded_beside_the_whole(encoder, folder, tmp_path):
    segmenting = Segmenting(2.0, 1.0)
    identity = Identity("e" * 64, FRONTEND, DIM, segmenting)
    with open_catalogue(tmp_path / "windows", identity, create=True) as catalogue:
        index(catalogue, encoder, folder)
        assert catalogue.count() == 4
        path = str(folder / "3.flac")
        rows = sorted(
            (row for row in catalogue.rows() if row.recording.path == path),
            key=lambda row: row.segment,
        )
    features = FRONTEND.extract(path)
    frame = FRONTEND.seconds_per_frame
    spans = [
        (0, features.shape[1]),
        *segmenting.windows(features.shape[1], frame),
    ]
    assert len(spans) == len(rows) == 8
    expected = encoder.embed_features([features[:, a:b] for a, b in spans])
    for number, (row, span) in enumerate(zip(rows, spans, strict=True)):
        assert row.segment == number
        assert (row.start, row.end) == (span[0] * frame, span[1] * frame)
        np.testing.assert_allclose(row.embedding, expected[number], atol=1e-5)


def test_there_must_be_files(tmp_path):
    with pytest.raises(DataError, match="expected recordings, found none"):
        find_files([tmp_path])
    with pytest.raises(DataError, match="expected a folder"):
        find_files([tmp_path / "none"])


def retagged(path):
    """Other bytes, the same sound: what a tagger does to a flac."""
    import mutagen

    file = mutagen.File(path)
    file["title"] = "New title"
    file.save()


def test_a_file_that_is_retagged_and_renamed_keeps_its_work(catalogue, encoder, folder):
    works = {str(folder / "1.flac"): "named"}
    index_files(catalogue, lambda: encoder, find_files([folder]).paths, works)
    before = by_name(catalogue)["1.flac"]
    (folder / "album").mkdir()
    (folder / "1.flac").rename(folder / "album" / "01 New.flac")
    retagged(folder / "album" / "01 New.flac")
    report = index(catalogue, encoder, folder)
    assert (report.moved, report.added, report.changed) == (1, 0, 0)
    found = by_name(catalogue)
    assert "1.flac" not in found
    assert found["01 New.flac"].work == "named"
    assert found["01 New.flac"].title == "New title"
    assert found["01 New.flac"].id != before.id
    assert catalogue.count() == 4
    assert catalogue.verify(find_files([folder]).paths).is_sound


def test_the_chroma_of_a_library_that_was_moved_is_read_in_parts(
    catalogue, encoder, folder, monkeypatch
):
    index(catalogue, encoder, folder)
    monkeypatch.setattr(indexing, "_READ_AT_ONCE", 2)
    asked = []
    read = catalogue.chroma
    monkeypatch.setattr(
        catalogue, "chroma", lambda ids: asked.append(len([*ids])) or read(ids)
    )
    (folder / "album").mkdir()
    for path in sorted(folder.glob("*.flac")):
        path.rename(folder / "album" / path.name)
        retagged(folder / "album" / path.name)
    flacs = len([*folder.rglob("*.flac")])
    report = index(catalogue, encoder, folder)
    assert (report.moved, report.added) == (flacs, 0)
    assert max(asked) == 2 < sum(asked)


def test_a_file_retagged_in_its_place_keeps_even_a_merged_work(
    catalogue, encoder, folder
):
    index(catalogue, encoder, folder)
    first, second = (by_name(catalogue)[f"{n}.flac"] for n in (1, 2))
    catalogue.update([replace(second, work=first.id)])
    retagged(folder / "1.flac")
    index(catalogue, encoder, folder)
    found = by_name(catalogue)
    assert found["1.flac"].content != first.content
    assert found["1.flac"].work == found["2.flac"].work == first.id


def test_the_same_sound_in_two_files_is_two_recordings(catalogue, encoder, folder):
    index(catalogue, encoder, folder)
    shutil.copy(folder / "1.flac", folder / "other.flac")
    retagged(folder / "other.flac")
    report = index(catalogue, encoder, folder)
    assert (report.added, report.moved) == (1, 0)
    assert catalogue.count() == 5


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("names", ["ab", "ba"])
def test_a_moved_file_is_found_beside_a_retagged_copy(
    names, batch, catalogue, encoder, folder, monkeypatch
):
    works = {str(folder / "1.flac"): "named"}
    index_files(catalogue, lambda: encoder, find_files([folder]).paths, works)
    monkeypatch.setattr(indexing, "_BATCH", batch)
    moved, copy = (folder / f"{name}.flac" for name in names)
    (folder / "1.flac").rename(moved)
    shutil.copy(moved, copy)
    retagged(copy)
    index(catalogue, encoder, folder)
    found = by_name(catalogue)
    assert {moved.name, copy.name} < {*found}
    assert found[moved.name].content == content_hash(moved)
    assert found[moved.name].work == "named"
    assert catalogue.count() == 5
    assert catalogue.verify(find_files([folder]).paths).is_sound
    assert not index(catalogue, encoder, folder).has_changed_something


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("turned", [False, True])
def test_a_work_moves_with_its_content_when_files_are_renumbered(
    turned, batch, catalogue, encoder, folder, music, monkeypatch
):
    paths = find_files([folder]).paths
    works = {path: f"work of {Path(path).stem}" for path in paths}
    index_files(catalogue, lambda: encoder, paths, works)
    monkeypatch.setattr(indexing, "_BATCH", batch)
    for number in reversed(range(4)):
        (folder / f"{number}.flac").rename(folder / f"{number + 1}.flac")
    soundfile.write(folder / "0.flac", music(9, seed=9), 22050)
    paths = find_files([folder]).paths
    paths = paths[::-1] if turned else paths
    index_files(catalogue, lambda: encoder, paths)
    found = by_name(catalogue)
    assert [found[f"{n}.flac"].work for n in range(1, 5)] == [*works.values()]
    assert not found["0.flac"].has_named_work
    assert catalogue.verify(paths).is_sound


def test_a_work_that_was_given_while_files_are_read_stays(catalogue, encoder, folder):
    index(catalogue, encoder, folder)
    for number in (1, 2):
        os.utime(folder / f"{number}.flac", (1, 1))

    def decide(done, of):
        every = catalogue.recordings()
        catalogue.update([replace(item, work="decided") for item in every])

    works = {str(folder / "2.flac"): "told"}
    index(catalogue, encoder, folder, tell=decide, works=works)
    found = by_name(catalogue)
    assert found["1.flac"].is_unchanged
    assert [found[f"{n}.flac"].work for n in (1, 2)] == ["decided", "told"]


def test_progress_is_told(catalogue, encoder, folder):
    told = []
    index(catalogue, encoder, folder, tell=lambda *counts: told.append(counts))
    assert told == [(number, 4) for number in range(1, 5)]


def test_a_change_that_keeps_size_and_time_is_seen_when_looked_for(
    catalogue, encoder, folder, music
):
    path = folder / "1.flac"
    index(catalogue, encoder, folder)
    status = path.stat()
    soundfile.write(path, music(6.0, seed=9), 22050)
    known = by_name(catalogue)["1.flac"]
    catalogue.update([replace(known, size=path.stat().st_size)])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert index(catalogue, encoder, folder).present == 4
    assert catalogue.verify().is_sound
    assert catalogue.verify(again=True).changed == [str(path)]
    report = index(catalogue, encoder, folder, again=True)
    assert (report.changed, report.present) == (1, 3)
    assert by_name(catalogue)["1.flac"].content == content_hash(path)


@pytest.mark.parametrize("again", [False, True])
def test_a_file_of_another_time_gets_its_work(catalogue, encoder, folder, again):
    index(catalogue, encoder, folder)
    path = folder / "1.flac"
    if not again:
        os.utime(path, (1, 1))
    report = index(catalogue, encoder, folder, again=again, works={str(path): "new"})
    assert (report.renamed, report.present) == (1, 3)
    assert report.has_changed_something
    assert by_name(catalogue)["1.flac"].work == "new"


@pytest.mark.parametrize("name", ["0 link.flac", "9 link.flac"])
def test_a_link_is_no_copy(catalogue, encoder, folder, name):
    (folder / name).symlink_to(folder / "1.flac")
    report = index(catalogue, encoder, folder)
    assert (report.added, report.moved, report.copies) == (4, 0, {})
    assert sorted(by_name(catalogue)) == [f"{n}.flac" for n in range(4)]
    assert index(catalogue, encoder, folder).copies == {}
    assert catalogue.count() == 4


def test_a_library_may_be_reached_by_another_way(catalogue, encoder, folder):
    index(catalogue, encoder, folder)
    other = folder.with_name("other way")
    other.symlink_to(folder)
    report = index(catalogue, encoder, other)
    assert (report.moved, report.copies) == (4, {})
    assert all(item.path.startswith(str(other)) for item in catalogue.recordings())
    assert index(catalogue, encoder, other).present == 4


def test_a_recording_stays_while_its_disk_is_away(catalogue, encoder, folder, tmp_path):
    index(catalogue, encoder, folder)
    named = replace(by_name(catalogue)["1.flac"], work="Forest")
    catalogue.update([named])
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    shutil.copy(folder / "1.flac", downloads / "song.flac")
    retagged(downloads / "song.flac")
    away = tmp_path / "away"
    folder.rename(away)
    folder.mkdir()
    report = index(catalogue, encoder, downloads)
    assert (report.added, report.moved) == (1, 0)
    assert by_name(catalogue)["song.flac"].work == "Forest"
    folder.rmdir()
    away.rename(folder)
    assert index(catalogue, encoder, folder).present == 4
    assert by_name(catalogue)["1.flac"].work == "Forest"


def test_works_that_were_given_between_two_runs_at_once_stay(
    catalogue, encoder, folder
):
    embed = encoder.try_features

    def slowly(*arguments):
        """Another run is quicker, and a person quicker still."""
        encoder.try_features = embed
        index(catalogue, encoder, folder)
        every = [replace(item, work="Named") for item in catalogue.recordings()]
        catalogue.update(every)
        return embed(*arguments)

    encoder.try_features = slowly
    index(catalogue, encoder, folder)
    assert {item.work for item in catalogue.recordings()} == {"Named"}


def test_new_content_stays_in_a_work_that_is_called_by_its_id(
    catalogue, encoder, folder, music
):
    index(catalogue, encoder, folder)
    found = by_name(catalogue)
    merged = replace(found["2.flac"], work=found["1.flac"].id)
    catalogue.update([merged])
    soundfile.write(folder / "1.flac", music(9, seed=9), 22050)
    index(catalogue, encoder, folder)
    found = by_name(catalogue)
    assert found["1.flac"].work == found["2.flac"].work == merged.work
    assert catalogue.count() == 4


def test_decisions_do_not_pass_to_what_takes_the_name(catalogue, encoder, folder):
    index(catalogue, encoder, folder)
    before = by_name(catalogue)
    told = []
    decisions = SimpleNamespace(follow=told.append, works=dict)
    (folder / "2.flac").replace(folder / "1.flac")
    index(catalogue, encoder, folder, decisions=decisions)
    assert by_name(catalogue)["1.flac"].id == before["2.flac"].id
    assert catalogue.count() == 3
    assert not any(before["1.flac"].id in followed for followed in told)


def test_others_follow_recordings_before_these_are_removed(catalogue, encoder, folder):
    index(catalogue, encoder, folder)
    before = by_name(catalogue)
    told = []

    class Decisions:
        def follow(self, followed):
            there = {item.id for item in catalogue.recordings()}
            assert there >= {*followed}
            told.append(followed)

        def works(self):
            return {}

    (folder / "1.flac").rename(folder / "new.flac")
    retagged(folder / "new.flac")
    retagged(folder / "2.flac")
    index(catalogue, encoder, folder, decisions=Decisions())
    after = by_name(catalogue)
    assert told == [
        {},
        {before["1.flac"].id: after["new.flac"].id},
        {before["2.flac"].id: after["2.flac"].id},
        {},
    ]


def test_a_manifest_leaves_what_was_decided(
    catalogue, encoder, folder, music, tmp_path
):
    path = str(folder / "1.flac")
    works = {path: "Yesterday (live)", str(folder / "2.flac"): "Yesterday"}
    index(catalogue, encoder, folder, works=works)
    record = Record(catalogue, tmp_path / "decisions.json")
    found = by_name(catalogue)
    pair = found["1.flac"].id, found["2.flac"].id
    review.decide(catalogue, pair, True, "Yesterday", record)
    report = index(catalogue, encoder, folder, works=works, decisions=record)
    assert (report.renamed, report.kept, report.present) == (0, 1, 4)
    assert by_name(catalogue)["1.flac"].work == "Yesterday"
    # Nor do other tags or other content of the file change that.
    retagged(folder / "1.flac")
    index(catalogue, encoder, folder, works=works, decisions=record)
    assert by_name(catalogue)["1.flac"].work == "Yesterday"
    soundfile.write(path, music(9, seed=9), 22050)
    index(catalogue, encoder, folder, works=works, decisions=record)
    assert by_name(catalogue)["1.flac"].work == "Yesterday"
    review.undo(catalogue, record)
    report = index(catalogue, encoder, folder, works=works, decisions=record)
    assert by_name(catalogue)["1.flac"].work == "Yesterday (live)"
    assert report.kept == 0


def test_a_manifest_may_call_a_decided_work_otherwise(
    catalogue, encoder, folder, tmp_path
):
    index(catalogue, encoder, folder)
    record = Record(catalogue, tmp_path / "decisions.json")
    ids = {name: one.id for name, one in by_name(catalogue).items()}
    review.decide(catalogue, (ids["1.flac"], ids["2.flac"]), True, record=record)
    both = {str(folder / f"{number}.flac"): "Song X" for number in (1, 2)}
    report = index(catalogue, encoder, folder, works=both, decisions=record)
    assert (report.renamed, report.kept) == (2, 0)
    # But it joins nothing that was split.
    review.split(catalogue, [ids["2.flac"]], record=record)
    apart = by_name(catalogue)["2.flac"].work
    report = index(catalogue, encoder, folder, works=both, decisions=record)
    assert (report.renamed, report.kept) == (0, 1)
    works = {name: one.work for name, one in by_name(catalogue).items()}
    assert (works["1.flac"], works["2.flac"]) == ("Song X", apart)
