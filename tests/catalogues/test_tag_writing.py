"""Tags are written and taken back without touching the sound or other tags."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import mutagen
import numpy as np
import pytest
from catalogue_rows import DIM, whole
from test_tags import WRITTEN, write, write_all

from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.catalogues import open_catalogue, tag_writing
from bytecover_tf.catalogues.copies import Copies
from bytecover_tf.catalogues.tag_writing import plan_tags, undo_tags, write_tags
from bytecover_tf.catalogues.tags import read_tags
from bytecover_tf.errors import CatalogueError, DataError
from bytecover_tf.files import content_hash, modified_ns
from bytecover_tf.tag import main

FORMATS = sorted(suffix for suffix, kind in WRITTEN.items() if kind != "ffmpeg")
CODECS = {
    **{"mp3": "libmp3lame", "flac": "flac", "m4a": "aac", "wma": "wmav2"},
    **{"ogg": "libopus", "opus": "libopus", "wav": "pcm_s16le", "aiff": "pcm_s16be"},
    "wv": "wavpack",
}


def add(catalogue, paths, work="Greensleeves"):
    rng = np.random.default_rng(0)
    rows = []
    for number, path in enumerate(paths):
        content, status = content_hash(path), os.stat(path)
        changes = {
            **{"id": content[:16], "content": content, "size": status.st_size},
            **{"mtime_ns": modified_ns(status), "path": str(path), "work": work},
            **{"title": path.stem, "artist": "Ä"},
        }
        rows.append(whole(number, rng.standard_normal(DIM), **changes))
    catalogue.add(rows)
    return rows


def all_tags(path):
    file = mutagen.File(path)
    tags = file.tags or {}
    return {key: str(tags[key]) for key in tags.keys()}  # noqa: SIM118


@pytest.mark.parametrize("has_tags", [True, False])
@pytest.mark.parametrize("suffix", FORMATS)
def test_sound_and_other_tags_stay(catalogue, tmp_path, suffix, has_tags):
    path = tmp_path / f"one.{suffix}"
    write(path, CODECS[suffix], {})
    if has_tags:
        write_all(path, WRITTEN[suffix])
    elif suffix in ("mp3", "m4a", "wma"):
        # FFmpeg leaves its name.
        mutagen.File(path).delete()
    path.chmod(0o640)
    before, samples, known = all_tags(path), load_audio(path), read_tags(path)
    add(catalogue, [path])
    changes, failed = plan_tags(catalogue)
    assert not failed
    assert write_tags(catalogue, changes, tmp_path / "undo") == (1, {})
    assert path.stat().st_mode & 0o777 == 0o640
    (recording,) = catalogue.recordings()

    tags = all_tags(path)
    (new,) = {*tags} - {*before}
    assert "Greensleeves" in tags[new]
    assert {key: tags[key] for key in before} == before
    np.testing.assert_array_equal(load_audio(path), samples)
    assert read_tags(path) == known
    # The catalogue has followed, with what it knew.
    assert recording.content == content_hash(path)
    assert recording.is_unchanged
    assert catalogue.verify().is_sound
    assert plan_tags(catalogue) == ([], {})

    assert undo_tags(catalogue, tmp_path / "undo") == (1, {})
    assert all_tags(path) == before
    np.testing.assert_array_equal(load_audio(path), samples)
    assert catalogue.verify().is_sound


def test_id3_keeps_its_version(catalogue, tmp_path):
    from mutagen import id3

    path = tmp_path / "one.mp3"
    write(path, "libmp3lame", {})
    mutagen.File(path).delete()
    tags = id3.ID3()
    tags.add(id3.TIT2(encoding=1, text="Ça ira"))
    tags.add(id3.TYER(encoding=0, text="1951"))
    tags.save(path, v2_version=3)
    whole_file = path.read_bytes()
    add(catalogue, [path])
    write_tags(catalogue, plan_tags(catalogue)[0], tmp_path / "undo")
    assert path.read_bytes()[:4] == b"ID3\x03"
    assert read_tags(path).year == "1951"
    undo_tags(catalogue, tmp_path / "undo")
    assert path.read_bytes() == whole_file


@pytest.mark.parametrize("version", [3, 4])
def test_frames_of_another_version_stay(catalogue, tmp_path, version):
    """As iTunes and Picard write sort names and several artists into ID3v2.3."""
    from mutagen import id3

    path = tmp_path / "one.mp3"
    write(path, "libmp3lame", {})
    mutagen.File(path).delete()
    frames = [
        id3.TIT2(encoding=1, text="Ça ira"),
        id3.TSOP(encoding=1, text="Piaf, Édith"),
        id3.TMOO(encoding=0, text="glad"),
        id3.TPE1(encoding=1, text=["AC", "DC"]),
        id3.TDRC(encoding=0, text="2004-05"),
        id3.TYER(encoding=0, text="1951"),
    ]
    tags = id3.ID3()
    for frame in frames:
        tags.add(frame)
    tags.save(path, v2_version=version, v23_sep=None)
    whole_file = path.read_bytes()
    add(catalogue, [path])
    assert write_tags(catalogue, plan_tags(catalogue)[0], tmp_path / "undo") == (1, {})
    assert path.read_bytes()[3] == version
    found = id3.ID3(path, translate=False)
    assert found["TXXX:WORK"].text == ["Greensleeves"]
    assert all(found[frame.HashKey] == frame for frame in frames)
    assert len(found) == len(frames) + 1
    undo_tags(catalogue, tmp_path / "undo")
    assert path.read_bytes() == whole_file


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)
def test_a_file_keeps_its_owner(catalogue, flacs, tmp_path):
    os.chown(flacs[0], 1234, 4321)
    write_tags(catalogue, plan_tags(catalogue)[0], tmp_path / "undo")
    assert mutagen.File(flacs[0])["bytecover_versions"]
    status = flacs[0].stat()
    assert (status.st_uid, status.st_gid) == (1234, 4321)


def test_versions_that_are_none_any_more_are_taken_away(catalogue, flacs, tmp_path):
    write_tags(catalogue, plan_tags(catalogue)[0], tmp_path / "undo")
    apart = [replace(item, work=item.id) for item in catalogue.recordings()]
    catalogue.update(apart)
    changes, failed = plan_tags(catalogue)
    assert (len(changes), failed) == (3, {})
    assert write_tags(catalogue, changes, tmp_path / "second") == (3, {})
    assert "bytecover_versions" not in mutagen.File(flacs[0])
    assert mutagen.File(flacs[0])["work"] == ["kept"]
    # Nobody is told of files that need no change.
    flacs[1].write_bytes(b"fLaC, no more")
    assert plan_tags(catalogue) == ([], {})


@pytest.fixture
def flacs(catalogue, tmp_path):
    """Three recordings of a work, which have different tags."""
    paths = [tmp_path / f"{number}.flac" for number in range(3)]
    for path in paths:
        write(
            path,
            "flac",
            {"TITLE": path.stem, **({"WORK": "kept"} if path == paths[0] else {})},
        )
    add(catalogue, paths)
    return paths


def test_what_is_written(catalogue, flacs, tmp_path):
    changes, failed = plan_tags(catalogue, [str(flacs[0]), str(tmp_path / "none")])
    assert [change.path for change in changes] == [str(flacs[0])]
    (reason,) = failed.values()
    assert reason.startswith(f"{tmp_path / 'none'}: holds no recording of ")
    # A title that is there stays, unless it is to be changed.
    assert changes[0].after == {"work": ["kept"], "versions": ["Ä - 1; Ä - 2"]}
    (change,) = plan_tags(catalogue, [str(flacs[0])], overwrite=True)[0]
    assert change.after["work"] == ["Greensleeves"]
    # What has no name is not written; nor is an identifier.
    for label in ("0" * 16, "T-034.524.680-1"):
        catalogue.update([replace(item, work=label) for item in catalogue.recordings()])
        afters = [change.after["work"] for change in plan_tags(catalogue)[0]]
        assert afters == [["kept"], [], []]


def test_copies_stay_copies(catalogue, flacs, tmp_path):
    if not Path(catalogue.address).is_dir():
        pytest.skip("copies are not known on a server")
    folder = tmp_path / "copies"
    folder.mkdir()
    copy, changed, link = (folder / name for name in ("a.flac", "b.flac", "c.flac"))
    copies = Copies(catalogue.address)
    for path in (copy, changed, link):
        link.symlink_to(flacs[2]) if path == link else shutil.copy2(flacs[2], path)
        content, status = content_hash(path), os.stat(path)
        copies.note(str(path), status.st_size, modified_ns(status), content)
    copies.save([content])
    write(changed, "flac", {"TITLE": "something else"})
    # A copy is not tagged without its recording.
    assert plan_tags(catalogue, [str(folder)])[0] == []
    changes, failed = plan_tags(catalogue)
    assert {change.path for change in changes} == {*map(str, flacs), str(copy)}
    assert (len(changes), failed) == (4, {})
    before = all_tags(copy)
    assert write_tags(catalogue, changes, tmp_path / "undo") == (4, {})
    assert all_tags(copy) != before
    assert content_hash(copy) == content_hash(flacs[2])
    assert link.is_symlink()
    # Nothing is indexed in between.
    assert undo_tags(catalogue, tmp_path / "undo") == (4, {})
    assert all_tags(copy) == before
    changes, failed = plan_tags(catalogue, [str(flacs[2]), str(copy)])
    assert [change.path for change in changes] == [str(copy), str(flacs[2])]
    # An interrupted run is continued.
    assert write_tags(catalogue, changes[:1], tmp_path / "undo") == (1, {})
    changes, failed = plan_tags(catalogue)
    assert {change.path for change in changes} == {*map(str, flacs)}
    assert write_tags(catalogue, changes, tmp_path / "undo") == (3, {})
    assert content_hash(copy) == content_hash(flacs[2])


def test_a_file_that_becomes_what_another_was_replaces_nothing(
    catalogue, flacs, tmp_path
):
    # A copy was tagged, but not its recording, and then both were indexed.
    changes = {change.path: change for change in plan_tags(catalogue)[0]}
    copy = tmp_path / "z.flac"
    shutil.copy2(flacs[2], copy)
    alone = replace(changes[str(flacs[2])], path=str(copy))
    assert write_tags(catalogue, [alone], tmp_path / "first") == (1, {})
    add(catalogue, [copy])
    changes, _ = plan_tags(catalogue)
    assert {change.path for change in changes} == {*map(str, flacs), str(copy)}
    alone = [change for change in changes if change.path == str(flacs[2])]
    # The recording gets what was planned for it then.
    alone = [replace(alone[0], after=plan_of(tmp_path / "first"))]
    others = [change for change in changes if change.path != str(flacs[2])]
    assert write_tags(catalogue, [*alone, *others], tmp_path / "undo")[1] == {}
    found = {each.path: each.content for each in catalogue.recordings()}
    assert found == {str(path): content_hash(path) for path in (*flacs, copy)}


def plan_of(undo_file):
    """Return the fields that the first change of an undo file writes."""
    return json.loads(undo_file.read_text().splitlines()[0])["after"]


def test_a_file_that_has_another_place_is_left_alone(catalogue, flacs, tmp_path):
    named = {each.path: each for each in catalogue.recordings()}
    catalogue.update([replace(named[str(flacs[2])], work="Yesterday")])
    flacs[0].rename(tmp_path / "kept.flac")
    flacs[2].rename(flacs[0])
    (tmp_path / "kept.flac").rename(flacs[2])
    before = [all_tags(path) for path in flacs]
    changes, failed = plan_tags(catalogue, overwrite=True)
    assert {change.path for change in changes} == {str(flacs[1])}
    assert failed.keys() == {str(flacs[0]), str(flacs[2])}
    assert "is not what the catalogue knows of it" in failed[str(flacs[0])]
    write_tags(catalogue, changes, tmp_path / "undo")
    assert [all_tags(path) for path in flacs[::2]] == before[::2]


def test_one_bad_file_stops_nothing(catalogue, flacs, tmp_path, monkeypatch):
    changes, _ = plan_tags(catalogue)
    flacs[1].write_bytes(b"fLaC, no more")
    before = flacs[2].read_bytes()
    save = tag_writing._save

    def fail(file):
        if os.path.basename(file.filename).startswith(".2."):
            raise OSError(28, "No space left on device")
        save(file)

    monkeypatch.setattr(tag_writing, "_save", fail)
    count, failed = write_tags(catalogue, changes, tmp_path / "undo")
    assert (count, failed.keys()) == (1, {str(flacs[1]), str(flacs[2])})
    assert "No space left" in failed[str(flacs[2])]
    assert flacs[2].read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("*.flac")) == [
        *("0.flac", "1.flac", "2.flac")
    ]
    assert not list(tmp_path.glob(".*.flac"))
    assert mutagen.File(flacs[0])["bytecover_versions"] == ["Ä - 1; Ä - 2"]
    # Another run does what was left, and both are undone together.
    monkeypatch.setattr(tag_writing, "_save", save)
    rest, _ = plan_tags(catalogue)
    assert [change.path for change in rest] == [str(flacs[2])]
    assert write_tags(catalogue, rest, tmp_path / "undo") == (1, {})
    count, failed = undo_tags(catalogue, tmp_path / "undo")
    assert (count, failed.keys()) == (2, {str(flacs[1])})
    assert "bytecover_versions" not in mutagen.File(flacs[0])
    assert flacs[2].read_bytes() == before


def test_what_was_changed_twice_is_undone_step_by_step(catalogue, flacs, tmp_path):
    before = flacs[1].read_bytes()
    for work in ("Greensleeves", "Another"):
        every = catalogue.recordings()
        catalogue.update([replace(item, work=work) for item in every])
        changes, _ = plan_tags(catalogue, overwrite=True)
        assert write_tags(catalogue, changes, tmp_path / "undo") == (3, {})
    assert mutagen.File(flacs[1])["work"] == ["Another"]
    assert undo_tags(catalogue, tmp_path / "undo") == (3, {})
    assert flacs[1].read_bytes() == before
    assert catalogue.verify(map(str, flacs), again=True).is_sound


def test_another_file_is_not_taken_for_an_undo_file(catalogue, flacs, tmp_path):
    (tmp_path / "notes").write_text("mine\n")
    before = flacs[0].read_bytes()
    with pytest.raises(DataError, match="notes:1"):
        write_tags(catalogue, plan_tags(catalogue)[0], tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "mine\n"
    assert flacs[0].read_bytes() == before


def test_a_file_that_the_catalogue_cannot_follow_counts(
    catalogue, flacs, tmp_path, monkeypatch
):
    def fail(rows):
        raise CatalogueError("the disk is full")

    monkeypatch.setattr(catalogue, "add", fail)
    count, failed = write_tags(catalogue, plan_tags(catalogue)[0], tmp_path / "undo")
    assert (count, len(failed)) == (3, 3)
    assert "index the file again (the disk is full" in failed[str(flacs[0])]
    assert "bytecover_versions" in mutagen.File(flacs[0])


def test_a_work_that_was_named_meanwhile_stays(catalogue, flacs, tmp_path, monkeypatch):
    save = tag_writing._save

    def decide_and_save(file):
        every = catalogue.recordings()
        catalogue.update([replace(item, work="decided") for item in every])
        save(file)

    monkeypatch.setattr(tag_writing, "_save", decide_and_save)
    write_tags(catalogue, plan_tags(catalogue)[0], tmp_path / "undo")
    assert {item.work for item in catalogue.recordings()} == {"decided"}


def test_a_change_of_sound_is_refused(catalogue, flacs, tmp_path, monkeypatch):
    changes, _ = plan_tags(catalogue)
    before = [path.read_bytes() for path in flacs]
    sounds = iter(range(99))
    monkeypatch.setattr(tag_writing, "_sound", lambda path: next(sounds))
    count, failed = write_tags(catalogue, changes, tmp_path / "undo")
    assert (count, len(failed)) == (0, 3)
    assert "without changing sound" in failed[str(flacs[0])]
    assert [path.read_bytes() for path in flacs] == before


def test_tags_changed_since_are_left_alone(catalogue, flacs, tmp_path):
    write_tags(catalogue, plan_tags(catalogue)[0], tmp_path / "undo")
    file = mutagen.File(flacs[1])
    file["work"] = "mine"
    file["comment"] = "new"
    file.save()
    count, failed = undo_tags(catalogue, tmp_path / "undo")
    assert count == 2
    assert "changed since" in failed[str(flacs[1])]
    assert mutagen.File(flacs[1])["work"] == ["mine"]
    assert "work" not in mutagen.File(flacs[2])


def test_an_undo_file_can_follow_a_moved_file(catalogue, flacs, tmp_path):
    before = all_tags(flacs[0])
    changes, _ = plan_tags(catalogue, [str(flacs[0])])
    write_tags(catalogue, changes, tmp_path / "undo")
    moved = flacs[0].rename(tmp_path / "moved.flac")
    count, failed = undo_tags(catalogue, tmp_path / "undo")
    assert count == 0
    assert "change its path in the undo file" in failed[str(flacs[0])]
    text = (tmp_path / "undo").read_text()
    (tmp_path / "undo").write_text(text.replace(str(flacs[0]), str(moved)))
    assert undo_tags(catalogue, tmp_path / "undo") == (1, {})
    assert all_tags(moved) == before


def test_where_a_link_leads_is_changed(catalogue, flacs, tmp_path):
    link = tmp_path / "link.flac"
    link.symlink_to(flacs[2])
    catalogue.update(
        [
            replace(item, path=str(link))
            for item in catalogue.recordings()
            if item.path == str(flacs[2])
        ]
    )
    write_tags(catalogue, plan_tags(catalogue)[0], tmp_path / "undo")
    assert link.is_symlink()
    assert mutagen.File(flacs[2])["work"] == ["Greensleeves"]


def test_formats_without_tags_to_write_are_named(catalogue, tmp_path):
    paths = [tmp_path / "one.mka", tmp_path / "two.aac"]
    for path, codec in zip(paths, ("libopus", "aac"), strict=True):
        write(path, codec, {})
    add(catalogue, paths)
    changes, failed = plan_tags(catalogue)
    assert changes == []
    assert failed.keys() == {str(path) for path in paths}


def test_the_command_changes_nothing_unless_told(
    catalogue, address, flacs, tmp_path, capsys
):
    before = [path.read_bytes() for path in flacs]
    options = ["--catalogue", address]
    assert main(options) == 0
    told = capsys.readouterr().out
    assert f"{flacs[1]}\n  work: 'Greensleeves'\n  versions: 'Ä - 0; Ä - 2'" in told
    assert "3 files would change; --write does it" in told
    assert [path.read_bytes() for path in flacs] == before
    undo = str(tmp_path / "undo.jsonl")
    assert main([*options, "--write", undo, "--overwrite"]) == 0
    assert "3 files changed; --undo" in capsys.readouterr().out
    assert len([json.loads(line) for line in open(undo)]) == 3
    assert mutagen.File(flacs[0])["work"] == ["Greensleeves"]
    assert main([*options, "--undo", undo]) == 0
    assert "3 files have their tags again" in capsys.readouterr().out
    assert mutagen.File(flacs[0])["work"] == ["kept"]
    with open_catalogue(address) as opened:
        assert opened.verify().is_sound
    (tmp_path / "undo.jsonl").write_text('{"path": 1}\n')
    with pytest.raises(DataError, match=r"undo\.jsonl:1: expected the undo file"):
        main([*options, "--undo", undo])
