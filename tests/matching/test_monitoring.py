import numpy as np
import pytest
from catalogue_rows import DIM, recording
from projection import Projection

from bytecover_tf.catalogues import Identity, Segmenting, open_catalogue
from bytecover_tf.catalogues.segments import embed_rows
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.matching.calibration import default_calibration
from bytecover_tf.matching.identification import Match
from bytecover_tf.matching.monitoring import Tracker, changes
from bytecover_tf.stores.extraction import Extracted

RATE = 22050


def match(work, probability):
    return Match(
        recording(ord(work), work=work),
        *(0.5, 1.0, probability, 0.0, 30.0, 0.0, 30.0, 0, 1.0, False),
    )


def heard(*windows):
    tracker = Tracker()
    return [tracker.hear([match(*one) for one in window]) for window in windows]


def test_two_windows_make_a_song_and_two_end_it():
    sure = [("a", 0.95)]
    assert heard(sure, sure, sure) == [None, "a", "a"]
    assert heard(sure, sure, sure, [], []) == [None, "a", "a", "a", None]
    assert heard(sure, sure, sure, [], sure, []) == [None, *["a"] * 5]


def test_a_song_follows_another():
    a, b = [("a", 0.95)], [("b", 0.95)]
    assert heard(a, a, b, b, b)[-1] == "b"
    perhaps = [("b", 0.6)]
    assert heard(a, a, a, perhaps, a, a) == [None, *["a"] * 5]


def test_a_doubtful_window_says_nothing():
    assert heard(*[[("a", 0.3)]] * 4) == [None] * 4
    assert heard([("a", 0.6)], [], [("b", 0.6)], []) == [None] * 4


def test_memory_stays_bounded():
    tracker = Tracker()
    for number in range(2000):
        tracker.hear([match(chr(1000 + number), 0.3)])
    assert len(tracker._behind) < 20


ENCODER = Encoder(Projection())


def test_a_stream_is_told_song_by_song(tmp_path, music):
    pytest.importorskip("lancedb")
    tunes = {name: music(60, seed=number) for number, name in enumerate("abc")}
    identity = Identity("e" * 64, ENCODER.frontend, DIM)
    recordings, extracted = [], []
    for name in "ab":
        recordings.append(recording(ord(name), work=name, duration=60.0))
        made = ENCODER.frontend.features_with_chroma(tunes[name])
        extracted.append(Extracted(name, 0, 0, *made))
    stream = np.concatenate([tunes["c"], tunes["a"], tunes["b"]])
    blocks = (stream[i : i + 32_768] for i in range(0, len(stream), 32_768))
    with open_catalogue(tmp_path / "library", identity, create=True) as library:
        rows, _ = embed_rows(ENCODER, recordings, extracted, Segmenting())
        library.add(rows)
        told = list(changes(library, ENCODER, blocks, default_calibration()))
    # The first is of a tune that is not in the library.
    assert [change.match and change.match.recording.work for change in told] == [
        None,
        "a",
        "b",
    ]
    for change, start in zip(told[1:], (60, 120), strict=True):
        assert change.start == pytest.approx(start, abs=6)
        assert start < change.at < start + 50
        facts = change.to_dict()
        assert facts["work"] in "ab"
        assert facts["probability"] > 0.5
    assert told[0].to_dict()["work"] is None
