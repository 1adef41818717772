import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.stores.note_store import NoteStore

FINE, COARSE = Frontend(pool=20), Frontend(pool=100)


def test_an_encoder_gets_the_features_that_it_reads():
    assert tunes.store(FINE) == tunes.FINE_STORE
    for frontend in (COARSE, Frontend(pool=50)):
        assert tunes.store(frontend) == tunes.STORE


def test_both_stores_hold_the_same_recordings():
    fine, coarse = FeatureStore(tunes.FINE_STORE), FeatureStore(tunes.STORE)
    assert (fine.frontend, coarse.frontend) == (FINE, COARSE)
    test = [track for track in tunes.load() if track.split == "test"]
    assert len(fine) == len(coarse) == len(tunes.load())
    for track in test:
        assert fine.entry(track.path).key == coarse.entry(track.path).key
        np.testing.assert_allclose(
            COARSE.from_cqt(fine.features(track.path), 20, track.id),
            coarse.features(track.path),
            rtol=0.03,
            atol=1e-3,
        )


def test_drawn_features_sound_where_their_notes_do():
    store = FeatureStore(tunes.FINE_STORE)
    scores = NoteStore(store)
    there, beside = [], []
    for track in tunes.load()[::40]:
        entry = store.entry(track.path)
        notes = scores.rows(entry, 0, entry.frames)[..., 1]
        if track.split == "test":
            assert not notes.any()
            continue
        features = store.rows(entry).astype(float)
        assert features.shape == notes.shape
        assert entry.frames <= 128
        there.append(features[notes > 0.9].mean())
        # A tritone away there are neither these notes nor their loud partials.
        beside.append(features[np.roll(notes, 6, axis=1) > 0.9].mean())
    ratios = np.array(there) / beside
    assert ratios.min() > 1.2
    assert np.median(ratios) > 2
