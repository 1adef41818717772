"""What a worker answers, without a server."""

import json
import os
import sys
from types import SimpleNamespace

import pytest

from bytecover_tf.catalogues.indexing import IndexingReport
from bytecover_tf.matching import setlist
from bytecover_tf.matching.songs import Song
from bytecover_tf.server import engine


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_files_whose_names_are_not_utf_8_are_told(tmp_path, monkeypatch):
    path = os.fsencode(tmp_path) + b"/caf\xe9.mp3"
    with open(path, "wb"):
        pass

    def index_files(catalogue, load, paths, **how):
        return IndexingReport(failed={path: f"{path}: no" for path in paths})

    monkeypatch.setattr(engine, "index_files", index_files)
    worker = SimpleNamespace(
        _catalogue=SimpleNamespace(address=str(tmp_path), optimize=lambda: None),
        _encoder=None,
        _threads=1,
        _settings=SimpleNamespace(record=None),
    )
    found = engine.Engine.index(worker, lambda event: None, [str(tmp_path)])
    shown = f"{tmp_path}/caf\\udce9.mp3"
    assert found["failed"] == {shown: f"{shown}: no"}
    assert json.dumps(found, ensure_ascii=False).encode()


def test_a_set_lasts_as_long_as_its_file(monkeypatch, tmp_path):
    """Not until its last song ends: what is shorter than a gap may follow."""

    def timeline(catalogue, encoder, path, calibration, progress, **how):
        progress(189.2, 190.0)
        return [Song(0.0, 180.0)]

    monkeypatch.setattr(setlist, "timeline", timeline)
    worker = SimpleNamespace(
        _catalogue=None, _encoder=None, _calibration=None, _threads=1
    )
    told = []
    path = str(tmp_path / "set.flac")
    found = engine.Engine.setlist(worker, told.append, path, "set.flac")
    assert found["duration"] == 189.2
    assert told == [{"done": 189, "of": 190}]
