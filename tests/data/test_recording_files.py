import os

import pytest

from bytecover_tf.data.files import SUFFIXES, recordings, search
from bytecover_tf.errors import DataError
from bytecover_tf.files import is_gone, replacing


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(root, paths):
    return [path.relative_to(root).as_posix() for path in paths]


FORMATS = (
    *("m4b", "aifc", "wv", "caf", "w64", "au", "tta", "ac3", "dts", "mp2", "mov"),
    *("avi", "3gp", "ts", "flv", "spx", "m4r", "m4v", "vob"),
)


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_that_is_decoded_counts(tmp_path, ending):
    touch(tmp_path, f"a.{ending}", f"B.{ending.upper()}")
    assert len(recordings(tmp_path)) == 2
    assert f".{ending}" in SUFFIXES


def test_only_known_rubbish_is_passed_over(tmp_path):
    touch(tmp_path, "...And Justice/one.flac", ".38 Special/caught.flac", ".x.mp3")
    touch(tmp_path, "a/._one.flac", ".DS_Store", "__MACOSX/x.mp3", ".Trashes/1/x.mp3")
    found = search(tmp_path)
    wanted = [".x.mp3", "...And Justice/one.flac", ".38 Special/caught.flac"]
    assert names(tmp_path, found.recordings) == wanted
    assert found.others == []


def test_what_a_killed_writer_left_is_no_recording(tmp_path):
    touch(tmp_path, "song.flac", "a part.flac", "song.part.flac")
    with replacing(tmp_path / "song.flac") as beside:
        beside.write_bytes(b"")
        # As after SIGKILL, which lets nobody clean up.
        found = search(tmp_path)
    assert names(tmp_path, found.recordings) == [
        *("a part.flac", "song.flac", "song.part.flac")
    ]
    assert found.others == []


def test_a_catalogue_among_the_music_is_passed_over(tmp_path):
    touch(tmp_path, "a.mp3", "cat/lock", "cat/recordings.lance/data/1.lance")
    found = search(tmp_path)
    assert names(tmp_path, found.recordings) == ["a.mp3"]
    assert not found.others


def test_what_is_no_recording_is_counted_and_named(tmp_path):
    touch(tmp_path, "a/1.mp3", "a/cover.jpg", "b/cover.jpg", "b/readme", "b/x.xyz")
    lines = search(tmp_path).left_out()
    assert len(lines) == 3
    assert f"2 with .jpg, such as {tmp_path / 'a' / 'cover.jpg'}" in lines[0]
    assert str(tmp_path / "b" / "x.xyz") in lines[1]
    assert str(tmp_path / "b" / "readme") in lines[2]


def test_links_are_followed_and_each_folder_is_searched_once(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    touch(inside, "a/1.mp3")
    touch(outside, "album/2.mp3")
    (inside / "linked").symlink_to(outside)
    (inside / "again").symlink_to(outside)
    (inside / "same").symlink_to(inside / "a")
    (outside / "round").symlink_to(inside)
    (inside / "a" / "up").symlink_to(inside)
    found = search(inside).recordings
    assert names(inside, found) == ["a/1.mp3", "again/album/2.mp3"]


def test_a_link_to_a_disk_that_is_away_is_named_and_nothing_is_gone(tmp_path):
    touch(tmp_path, "disk/1.mp3", "library/2.mp3")
    link = tmp_path / "library" / "disk"
    link.symlink_to(tmp_path / "disk")
    assert not is_gone(str(link / "1.mp3"))
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    found = search(tmp_path / "library")
    assert names(tmp_path, found.recordings) == ["library/2.mp3"]
    assert found.unreadable == {link: "a link that leads nowhere"}
    assert not is_gone(str(link / "1.mp3"))
    assert is_gone(str(tmp_path / "disk" / "1.mp3"))


def test_folders_that_cannot_be_looked_into_are_named(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.mp3", "b/2.mp3")
    scandir = os.scandir

    def refuse(path):  # as the superuser is refused nothing
        if os.fspath(path) == str(tmp_path / "b"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = search(tmp_path)
    assert names(tmp_path, found.recordings) == ["a/1.mp3"]
    assert found.unreadable == {tmp_path / "b": "Permission denied"}
    assert "Permission denied" in found.left_out()[0]
    with pytest.raises(DataError, match="b: cannot be looked into"):
        recordings(tmp_path)
