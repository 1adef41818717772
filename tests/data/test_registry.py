import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

from bytecover_tf.data import DATASETS, load_dataset
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError


def test_names():
    assert list(DATASETS) == [
        "tunes",
        "packed",
        "shs100k",
        "shs100k2",
        "covers80",
        "datacos",
        "youtube350",
        "discogs_vi",
        "lyriccovers",
        "coversbr",
        "folder",
        "manifest",
    ]


@pytest.mark.parametrize("name", sorted(set(DATASETS) - {"tunes"}))
def test_every_module_reads_a_root(name, tmp_path):
    assert callable(import_module(DATASETS[name]).load)
    with pytest.raises(DataError, match="gone"):
        load_dataset(name, tmp_path / "gone")
    with pytest.raises(DataError, match=f"{name}.*expected the path"):
        load_dataset(name)


def test_root_as_text_and_options(tmp_path):
    for work in "abcd":
        (tmp_path / work).mkdir()
        (tmp_path / work / "1.mp3").touch()
    assert load_dataset("folder", str(tmp_path))[0] == Track(
        "a/1.mp3", "a", str(tmp_path / "a" / "1.mp3")
    )
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "0_0.mp3").touch()
    for originals, role in [((0, 1), "reference"), ((5, 6), "query")]:
        (track,) = load_dataset("youtube350", videos, originals=originals)
        assert track.role == role


def test_tunes_needs_no_root(monkeypatch):
    roots = []
    module = SimpleNamespace(load=lambda root=None: roots.append(root) or [])
    monkeypatch.setitem(sys.modules, DATASETS["tunes"], module)
    assert load_dataset("tunes") == []
    assert roots == [None]


def test_unknown_name():
    with pytest.raises(DataError, match=r"'covers81' is unknown; .*tunes.*manifest"):
        load_dataset("covers81")


def test_import_is_light():
    code = (
        "import sys, bytecover_tf.data; "
        "heavy = {'numpy', 'librosa', 'keras', 'tensorflow'} & set(sys.modules); "
        "parsers = [m for m in sys.modules if m.startswith('bytecover_tf.data.')]; "
        "print(sorted(heavy), parsers)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown.split() == ["[]", "['bytecover_tf.data.track']"]
