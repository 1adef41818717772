import errno
import os
import subprocess
import sys
import threading

import pytest

from bytecover_tf import files
from bytecover_tf.errors import StoreError
from bytecover_tf.files import (
    is_unchanged,
    is_unfinished,
    json_object,
    lock,
    modified_ns,
    replacing,
    write_atomically,
)


def test_a_write_that_fails_names_the_file_and_keeps_the_old(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "groups.json"
    write_atomically(path, "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="groups.json"):
            write_atomically(path, "x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["groups.json"]


def test_a_write_into_no_folder_names_what_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError) as failed:
        write_atomically(tmp_path / "none" / "undo.jsonl", "x")
    assert failed.value.filename == str(tmp_path / "none" / "undo.jsonl")


def half_written(path):
    path.write_text("half")
    raise ZeroDivisionError


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "array.npy"
    path.write_text("old")
    with replacing(path) as beside:
        assert beside.suffix == ".npy"
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(ZeroDivisionError), replacing(path) as beside:
        half_written(beside)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_two_processes_write_a_file_each_for_itself(tmp_path, monkeypatch):
    path = tmp_path / "song.mp3"
    with replacing(path) as ours:
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with replacing(path) as theirs:
            theirs.write_text("theirs")
            ours.write_text("ours")
        assert path.read_text() == "theirs"
    assert path.read_text() == "ours"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("letter", ["x", "я", "歌"])
def test_a_name_may_be_as_long_as_names_may_be(tmp_path, letter):
    path = tmp_path / f"{letter * (251 // len(letter.encode()))}.mp3"
    write_atomically(path, "old")
    with replacing(path) as beside:
        assert is_unfinished(beside.name)
        assert beside.suffix == ".mp3"
        beside.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_leads_to_the_new_file(tmp_path):
    (tmp_path / "there").mkdir()
    link, path = tmp_path / "link.json", tmp_path / "there" / "kept.json"
    link.symlink_to(path)
    for text in ("new", "newer"):
        write_atomically(link, text)
        assert link.is_symlink()
        assert path.read_text() == text
    assert [*path.parent.iterdir()] == [path]


def test_a_device_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(
        target=lambda: found.append(pipe.read_text()), daemon=True
    )
    reader.start()
    write_atomically(pipe, "all of it")
    reader.join(60)
    assert found == ["all of it"]
    assert pipe.is_fifo()
    assert [*tmp_path.iterdir()] == [pipe]


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(OSError, match=str(tmp_path)):
        write_atomically(tmp_path, "x")
    assert tmp_path.is_dir()


def test_a_lock_keeps_another_process_out(tmp_path):
    pytest.importorskip("fcntl")
    code = (
        "import sys, pathlib\n"
        "from bytecover_tf.files import lock\n"
        "try: lock(pathlib.Path(sys.argv[1]))\n"
        "except BlockingIOError: print('busy')\n"
        "else: print('free')"
    )

    def other():
        command = [sys.executable, "-c", code, str(tmp_path / "lock")]
        return subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.strip()

    with lock(tmp_path / "lock"):
        assert other() == "busy"
    assert other() == "free"


@pytest.mark.parametrize("year", [1677, 1901, 1970, 2261, 2263, 2300, 2446])
def test_any_date_of_a_file_fits_64_bits(tmp_path, year):
    path = tmp_path / "song.mp3"
    path.touch()
    wanted = (year - 1970) * 31_556_952 * 10**9

    class Status:
        st_mtime_ns = wanted

    clipped = modified_ns(Status())
    assert -(2**63) <= clipped < 2**63
    assert (clipped == wanted) == (1678 <= year <= 2261)
    os.utime(path, ns=(0, wanted))  # as near as the file system comes
    assert is_unchanged(str(path), 0, modified_ns(os.stat(path)))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "3", "[" * 100_000, b"\xff\xfe{", '{"a": 1} x']
)
def test_what_is_no_json_object_is_named(text):
    with pytest.raises(StoreError, match=r"store\.json: damaged; expected a JSON obj"):
        json_object(text, "store.json", StoreError)


def test_a_json_object_is_read():
    assert json_object(b'{"a": [1, null]}', "a.json", StoreError) == {"a": [1, None]}


def test_a_file_system_without_locks_is_called_that(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(file, kind):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="cannot be locked .No locks available") as caught:
        lock(tmp_path / "lock")
    assert not isinstance(caught.value, BlockingIOError)
    assert caught.value.filename == str(tmp_path / "lock")


def test_who_waits_for_a_lock_is_told_and_not_for_ever(tmp_path, monkeypatch, capsys):
    pytest.importorskip("fcntl")
    path = tmp_path / "lock"
    moments = iter(range(0, 10_000, 60))
    monkeypatch.setattr(files.time, "monotonic", lambda: next(moments))
    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    with lock(path), pytest.raises(BlockingIOError, match=str(path)):
        lock(path, wait=True)
    assert capsys.readouterr().err == f"waiting for the process that holds {path}\n"
