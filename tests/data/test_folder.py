import unicodedata

import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import folder
from bytecover_tf.data.features import default_store
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.stores.feature_store import FeatureStoreWriter


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_all_tracks_are_test(tmp_path):
    touch(tmp_path, "b/2.FLAC", "b/1.mp3", "a b/x.npy", "b/cover.jpg", "notes.txt")
    touch(tmp_path, "b/._1.mp3", ".Trash-0/1.mp3", "__MACOSX/1.mp3", "empty/notes.txt")
    assert folder.load(tmp_path) == [
        Track("a b/x.npy", "a b", str(tmp_path / "a b" / "x.npy"), "test", "both"),
        Track("b/1.mp3", "b", str(tmp_path / "b" / "1.mp3"), "test", "both"),
        Track("b/2.FLAC", "b", str(tmp_path / "b" / "2.FLAC"), "test", "both"),
    ]


def test_a_work_is_one_however_its_accents_are_written(tmp_path):
    forms = [unicodedata.normalize(form, "Caf\u00e9") for form in ("NFC", "NFD")]
    touch(tmp_path, f"train/{forms[0]}/1.mp3", f"test/{forms[1]}/1.mp3")
    touch(tmp_path, "validation/b/1.mp3")
    works = {track.split: track.work for track in folder.load(tmp_path)}
    assert works["train"] == works["test"]


def test_split_of_its_own(tmp_path):
    touch(tmp_path, "train/a/1.mp3", "validation/b/1.mp3", "test/c/1.mp3", "info.txt")
    touch(tmp_path, ".ipynb_checkpoints/look.ipynb")
    tracks = folder.load(tmp_path)
    assert [(track.id, track.work, track.split) for track in tracks] == [
        ("train/a/1.mp3", "a", "train"),
        ("validation/b/1.mp3", "b", "validation"),
        ("test/c/1.mp3", "c", "test"),
    ]


def test_features_beside_the_works_are_not_recordings(tmp_path):
    names = ["train/a/1.mp3", "validation/b/1.mp3", "test/c/1.mp3"]
    touch(tmp_path, *names)
    tracks = folder.load(tmp_path)
    store = default_store("folder", tmp_path, Frontend(), tracks)
    FeatureStoreWriter(store, Frontend()).close()
    assert store.parent == tmp_path
    assert folder.load(tmp_path) == tracks


def test_links_that_lead_nowhere(tmp_path, caplog):
    """A file's is left out, but one that may be a folder's would hide recordings."""
    touch(tmp_path, "a/1.mp3", "a/2.mp3")
    for name in ("cover.jpg", ".#notes"):
        (tmp_path / "a" / name).symlink_to(tmp_path / "nothing")
    assert [track.id for track in folder.load(tmp_path)] == ["a/1.mp3", "a/2.mp3"]
    assert "cover.jpg: a link that leads nowhere, and is left out" in caplog.text
    (tmp_path / "a" / "Vol. 2").symlink_to(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"Vol\. 2: cannot be looked into"):
        folder.load(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/1.txt"], "expected <work>/<recording>"),
        (["a/1.mp3", "stray.mp3"], r"stray\.mp3: expected recordings in the folder"),
        (["artist/album/1.mp3"], r"1\.mp3: expected <work>/<recording>"),
        (["train/a/1.mp3", "test/a/1.mp3"], "expected either .* found test, train"),
        (
            ["train/a/1.mp3", "validation/b/1.mp3", "test/c/1.mp3", "more/d.mp3"],
            "expected either .* found more, test, train, validation",
        ),
        (
            ["train/1.mp3", "validation/b/1.mp3", "test/c/1.mp3"],
            r"1\.mp3: expected recordings in the folder",
        ),
    ],
)
def test_malformed(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        folder.load(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(DataError, match="expected a folder"):
        folder.load(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="expected a folder"):
        folder.load(tmp_path / "file")
