import numpy as np
import pytest
from catalogue_rows import chroma, recording

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogues import Segmenting
from bytecover_tf.catalogues.segments import embed_rows, windows_of
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.errors import ConfigError
from bytecover_tf.stores.extraction import Extracted


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (1, []),
        (6, []),
        (7, [(0, 6), (1, 7)]),
        (9, [(0, 6), (3, 9)]),
        (14, [(0, 6), (3, 9), (6, 12), (8, 14)]),
    ],
)
def test_windows_reach_the_end_and_never_beyond(frames, expected):
    assert Segmenting(60, 30).windows(frames, 10.0) == expected


def test_no_windows_by_default():
    assert Segmenting().windows(1000, 1.0) == []


def test_a_window_has_one_frame_at_least():
    assert Segmenting(1, 0.1).windows(3, 10.0) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize(
    "values",
    [
        *((-1, 1), (1, -1), (0, 1), (1, 0), (np.nan, 1), (9, np.inf)),
        *((1e308, 1), (1, 1e308), (1e-9, 1), (20, 1e-6)),
    ],
)
def test_impossible_windows_are_refused(values):
    with pytest.raises(ConfigError, match=r"from 0\.1 to 86400 seconds"):
        Segmenting(*values)


class Means:
    frontend = Frontend()
    dim = 84

    def __call__(self, features):
        return features.mean(axis=2)[..., 0]


def test_silent_windows_have_no_row(rng):
    features = rng.random((84, 12)).astype(np.float32)
    features[:, 4:8] = 0
    seconds = Means.frontend.seconds_per_frame
    segmenting = Segmenting(4 * seconds, 4 * seconds)
    extracted = [
        Extracted("", 0, 0, array, chroma(number))
        for number, array in enumerate([features, np.zeros((84, 3))])
    ]
    rows, failed = embed_rows(
        Encoder(Means()),
        [recording(1), recording(2, path="/silent")],
        extracted,
        segmenting,
    )
    assert [row.segment for row in rows] == [0, 1, 2]
    assert rows[0].chroma is extracted[0].chroma
    assert [row.chroma for row in rows[1:]] == [None, None]
    assert [round(row.start / seconds) for row in rows] == [0, 0, 8]
    assert failed.keys() == {"/silent"}
    assert "/silent: silent" in failed["/silent"]


def test_a_long_recording_has_windows_without_being_asked():
    features = np.ones((84, 100), np.float32)
    assert windows_of(features[:, :36], 10.0) == []
    spans = windows_of(features, 10.0)
    assert spans == Segmenting(180, 90).windows(100, 10.0)
    assert windows_of(features, 10.0, Segmenting()) == spans
    assert windows_of(features, 10.0, Segmenting(40, 20)) == Segmenting(40, 20).windows(
        100, 10.0
    )
    covered = {frame for start, end in spans for frame in range(start, end)}
    assert covered == set(range(100))
