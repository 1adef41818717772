"""Paths lead only where they may."""

import pytest

pytest.importorskip("python_multipart")
pytest.importorskip("starlette")

from starlette.exceptions import HTTPException

from bytecover_tf.server.sources import Folders


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


def test_a_file_that_is_not_there_is_not_found(folders):
    top, allowed = folders
    with pytest.raises(HTTPException) as refused:
        allowed.check(str(top / "music" / "b.ogg"))
    assert refused.value.status_code == 404
