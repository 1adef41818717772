import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import drawn_tunes, tunes
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.synth.playing.versions import read_versions

FINE = Frontend(pool=20)


def test_every_track_is_either_rendered_or_can_be_drawn():
    tracks = {track.path: track for track in tunes.load()}
    store = FeatureStore(tunes.STORE)
    assert store.frontend == FINE
    rendered = {entry.source for entry in store}
    assert rendered == {path for path, t in tracks.items() if t.split == "test"}
    versions = {version.id: version for version in read_versions(tunes.SCORES)}
    assert versions.keys() == tracks.keys() - rendered
    for name, version in versions.items():
        assert (version.work, version.split) == (tracks[name].work, tracks[name].split)


def test_drawn_features_sound_where_their_notes_do():
    there, beside = [], []
    for version in read_versions(tunes.SCORES)[::40]:
        features, score = drawn_tunes.draw(version, FINE)
        notes = score[1]
        assert features.shape == notes.shape
        there.append(features[notes > 0.9].mean())
        # A tritone away there are neither these notes nor their loud partials.
        beside.append(features[np.roll(notes, 6, axis=0) > 0.9].mean())
    ratios = np.array(there) / beside
    # Some are drawn with a loud crowd or an old record's noise.
    assert np.mean(ratios > 1.2) > 0.9
    assert np.median(ratios) > 2


def test_a_folder_without_tracks_is_named(tmp_path):
    with pytest.raises(DataError, match=r"tracks\.csv: no such file"):
        tunes.load(tmp_path)


HEADER = "id,work,path,split,role,title\n"


def test_tables_as_spreadsheets_save_them(tmp_path):
    text = HEADER + 'a-0,a,a-0,train,both,"A, B"\r\n'
    (tmp_path / "tracks.csv").write_text(text, encoding="utf-8-sig")
    assert tunes.load(tmp_path) == [Track("a-0", "a", "a-0", "train", "both")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEADER.replace("role,", "") + "a-0,a,a-0,train,A\n",
            "csv:2: expected a 'role'",
        ),
        (HEADER + "a-0,a,a-0,valid,both,A\n", "csv:2: expected 'split' to be one of"),
        (HEADER + "a-0,a,a-0\n", "csv:2: expected 6 fields, found 3"),
        (HEADER + 2 * "a-0,a,a-0,test,both,A\n", "csv:3: the id 'a-0' was listed"),
        (HEADER + "a-0,a,a-0,test,both,\udce9\n", "expected UTF-8"),
    ],
)
def test_malformed_tables(tmp_path, text, message):
    path = tmp_path / "tracks.csv"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=message):
        tunes.load(tmp_path)
