import pytest
import soundfile

from bytecover_tf import evaluate, train, whiten
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import features
from bytecover_tf.data.features import default_store, open_features
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError, FrontendMismatch
from bytecover_tf.training import run

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
        assert default_store(name, tmp_path, FRONTEND, []) == tmp_path / "store"
    with pytest.raises(DataError, match="packed needs --data-root"):
        default_store("packed", None, FRONTEND, [])


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


def test_what_is_there_of_truncated_files_is_taken_if_asked(songs, tmp_path, music):
    wav = tmp_path / "long.wav"
    soundfile.write(wav, music(8), 22050)
    wav.write_bytes(wav.read_bytes()[: wav.stat().st_size // 2])
    tracks = [Track(path.name, "work", str(path)) for path in (songs[0], wav)]
    usable, _ = open_features(tracks, tmp_path / "store", FRONTEND, workers=1)
    assert usable == tracks[:1]
    asked = {"workers": 1, "allow_truncated": True}
    usable, store = open_features(tracks, tmp_path / "store", FRONTEND, **asked)
    assert usable == tracks
    seconds = store.entry(wav).frames * FRONTEND.seconds_per_frame
    assert seconds == pytest.approx(4, abs=0.6)


class Asked(Exception):
    pass


@pytest.mark.parametrize("given", [[], ["--allow-truncated"]])
@pytest.mark.parametrize(
    ("command", "options"),
    [
        (evaluate, ["--encoder", "bytecover-small"]),
        (train, ["--run-dir", "run"]),
        (whiten, ["--encoder", "bytecover-small", "--out", "whitened.keras"]),
    ],
)
def test_the_commands_pass_it_on(command, options, given, tmp_path, monkeypatch):
    def opened(*arguments):
        raise Asked(arguments[5])

    monkeypatch.setattr(features, "open_features", opened)
    monkeypatch.setattr(run, "open_features", opened)
    monkeypatch.chdir(tmp_path)
    for work in "abc":
        (tmp_path / "music" / work).mkdir(parents=True)
        (tmp_path / "music" / work / "1.wav").touch()
    data = ["--data", "folder", "--data-root", "music", "--split-seed", "0"]
    with pytest.raises(Asked) as caught:
        command.main([*options, *data, *given])
    assert caught.value.args == (bool(given),)
