import pytest
import soundfile

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.features import default_store, open_features
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError, FrontendMismatch

FRONTEND = Frontend(pool=20)


@pytest.fixture
def songs(tmp_path, music):
    """Three recordings of 4 to 6 s."""
    paths = [tmp_path / f"{number}.flac" for number in range(3)]
    for number, path in enumerate(paths):
        soundfile.write(path, music(4 + number, seed=number), 22050)
    return paths


def test_a_packed_set_has_its_store_beside_its_tracks(tmp_path):
    for name in ("packed", "tunes"):
        assert default_store(name, tmp_path, FRONTEND) == tmp_path / "store"
    with pytest.raises(DataError, match="packed needs --data-root"):
        default_store("packed", None, FRONTEND)


def test_open_features_extracts_what_is_missing(songs, tmp_path, capsys):
    (songs[1]).write_bytes(b"broken")
    tracks = [Track(path.name, path.parent.name, str(path)) for path in songs]
    usable, store = open_features(tracks, tmp_path / "store", FRONTEND, workers=1)
    assert [track.path for track in usable] == [str(p) for p in songs if p != songs[1]]
    assert len(store) == 2
    assert f"skipped: {songs[1]}" in capsys.readouterr().err
    with pytest.raises(FrontendMismatch):
        open_features(tracks, tmp_path / "store", Frontend())
    with pytest.raises(DataError, match="none of 1 recordings"):
        open_features([tracks[1]], tmp_path / "other", FRONTEND, workers=1)
