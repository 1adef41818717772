import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.stores.feature_store import FeatureStore

FINE, COARSE = Frontend(pool=20), Frontend(pool=100)


def test_an_encoder_gets_the_features_that_it_reads():
    assert tunes.store(FINE, "test") == tunes.TEST_STORE
    for frontend, split in ((FINE, "train"), (FINE, None), (COARSE, "test")):
        assert tunes.store(frontend, split) == tunes.STORE


def test_both_stores_hold_the_same_recordings():
    fine, coarse = FeatureStore(tunes.TEST_STORE), FeatureStore(tunes.STORE)
    assert (fine.frontend, coarse.frontend) == (FINE, COARSE)
    test = [track for track in tunes.load() if track.split == "test"]
    assert len(fine) == len(test)
    for track in test:
        assert fine.entry(track.path).key == coarse.entry(track.path).key
        np.testing.assert_allclose(
            COARSE.from_cqt(fine.features(track.path), 20, track.id),
            coarse.features(track.path),
            rtol=0.03,
            atol=1e-3,
        )
