"""Paths lead only where they may."""

import asyncio
import errno
import json
import os
from types import SimpleNamespace

import pytest

pytest.importorskip("python_multipart")
pytest.importorskip("starlette")

from starlette.exceptions import HTTPException

from bytecover_tf.server.sources import Folders, Form, _Receiver


@pytest.fixture
def folders(tmp_path):
    for name in ("music", "music-private"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.ogg").touch()
    return tmp_path, Folders([tmp_path / "music"])


def test_a_path_below_an_allowed_folder_is_taken(folders):
    top, allowed = folders
    path = top / "music" / "a.ogg"
    assert allowed.check(str(path)) == str(path.resolve())


@pytest.mark.parametrize(
    "path", ["music-private/a.ogg", "music/../music-private/a.ogg", "../x", ""]
)
def test_a_path_elsewhere_is_refused(folders, path):
    top, allowed = folders
    with pytest.raises(HTTPException) as refused:
        allowed.check(str(top / path))
    assert refused.value.status_code == 403


def test_a_link_out_of_an_allowed_folder_is_refused(folders):
    top, allowed = folders
    link = top / "music" / "link.ogg"
    link.symlink_to(top / "music-private" / "a.ogg")
    with pytest.raises(HTTPException) as refused:
        allowed.check(str(link))
    assert refused.value.status_code == 403


@pytest.mark.parametrize("text", ["0", "11", "-1", "x", "", "1" * 5000])
def test_numbers_are_whole_and_in_range(text):
    form = Form()
    assert form.number("top", 10, 10) == 10
    form.texts["top"] = "3"
    assert form.number("top", 10, 10) == 3
    form.texts["top"] = text
    with pytest.raises(HTTPException, match="expected 'top' from 1 to 10") as refused:
        form.number("top", 10, 10)
    assert refused.value.status_code == 422


def test_paths_of_a_linked_folder_are_those_that_index_keeps(folders):
    top, _ = folders
    (top / "linked").symlink_to(top / "music")
    allowed = Folders([top / "linked"])
    path = str(top / "linked" / "a.ogg")
    assert allowed.check(path) == path
    assert allowed.tops == [str(top / "linked")]
    assert allowed.check(str(top / "music")) == str(top / "music")


def test_a_file_that_is_not_there_is_not_found(folders):
    top, allowed = folders
    with pytest.raises(HTTPException) as refused:
        allowed.check(str(top / "music" / "b.ogg"))
    assert refused.value.status_code == 404


def test_all_may_be_allowed(tmp_path):
    (tmp_path / "a.ogg").touch()
    path = str(tmp_path / "a.ogg")
    assert Folders(["/"]).check(path) == str((tmp_path / "a.ogg").resolve())


def part(header, body):
    return f"--x\r\nContent-Disposition: form-data; {header}\r\n\r\n{body}\r\n".encode()


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_form_may_come_in_any_pieces(step, tmp_path):
    form = part('name="file"; filename="Ä b.ogg"', "sound" * 99)
    form += part('name="top"', "5") + part('name="empty"', "") + b"--x--\r\n"
    receiver = _Receiver(str(tmp_path), b"x")
    for start in range(0, len(form), step):
        receiver.write(form[start : start + step])
    receiver.finish()
    assert receiver.form.texts == {"top": "5", "empty": ""}
    source = receiver.form.files["file"]
    assert source.name == "Ä b.ogg"
    assert source.path.startswith(str(tmp_path))
    with open(source.path) as file:
        assert file.read() == "sound" * 99


@pytest.mark.parametrize(
    ("number", "status"), [(errno.ENOSPC, 507), (errno.EACCES, 500)]
)
def test_a_disk_that_fails_is_told_without_its_place(number, status, capsys):
    pytest.importorskip("fastapi")
    from bytecover_tf.server.app import _failed

    error = OSError(number, os.strerror(number), "/secret/decisions.json")
    request = SimpleNamespace(url=SimpleNamespace(path="/api/review"))
    answer = asyncio.run(_failed(request, error))
    assert answer.status_code == status
    assert json.loads(answer.body) == {"error": os.strerror(number)}
    # The one who runs the server learns it.
    assert "/secret/decisions.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("form", "status", "reason"),
    [
        (part('name="a"', "x" * 2**15), 413, "a: expected a text of at most"),
        (part('name="a"', "x") * 17, 413, "at most 16 parts"),
        (part('name="a"; filename="b.ogg"', ""), 422, r"b.ogg: is empty"),
        (part('filename="b.ogg"', "x"), 400, "a part has no name"),
    ],
    ids=["long text", "many parts", "empty file", "no name"],
)
def test_a_form_has_bounds(form, status, reason, tmp_path):
    receiver = _Receiver(str(tmp_path), b"x")
    with pytest.raises(HTTPException, match=reason) as refused:
        receiver.write(form + b"--x--\r\n")
    assert refused.value.status_code == status
