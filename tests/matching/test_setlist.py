import shutil
from dataclasses import replace
from itertools import pairwise, product

import mutagen
import numpy as np
import pytest
import soundfile
from catalogue_rows import DIM, recording
from projection import Projection

from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.catalogues import Identity, Segmenting, open_catalogue
from bytecover_tf.catalogues.segments import embed_rows
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.errors import AudioError
from bytecover_tf.files import content_hash
from bytecover_tf.matching import identification
from bytecover_tf.matching.calibration import default_calibration
from bytecover_tf.matching.identification import Match
from bytecover_tf.matching.placing import _joined_with
from bytecover_tf.matching.relation import Relation
from bytecover_tf.matching.setlist import timeline
from bytecover_tf.matching.songs import Song, settled, with_gaps
from bytecover_tf.matching.voting import Vote, likeliest, runs
from bytecover_tf.stores.extraction import Extracted

RATE = 22050


def match(work, probability, start=0.0, end=60.0):
    return Match(
        recording(ord(work), work=work),
        *(0.5, 1.0, probability, start, end, start, end, 0, 1.0, False),
    )


def votes(*windows):
    """Votes of windows of four frames every frame: each a work's probability."""
    return [
        Vote(number, number + 4, [match(work, p) for work, p in window.items()])
        for number, window in enumerate(windows)
    ]


def found(*windows):
    return [(run.work, run.first, run.end) for run in runs(votes(*windows))]


def test_neighbouring_windows_of_a_work_are_a_run():
    sure = {"a": 0.9}
    assert found(sure, sure, sure) == [("a", 0, 6)]
    assert found(*[sure] * 3, *[{"b": 0.9}] * 3) == [("a", 0, 6), ("b", 3, 9)]
    assert found(*[sure] * 3, *[{}] * 3, *[sure] * 3) == [("a", 0, 6), ("a", 6, 12)]
    assert found() == []
    assert found({}, {}) == []


def test_works_that_no_window_speaks_for_change_nothing():
    sure, other = {"a": 0.9, "b": 0.1}, {"a": 0.25, "c": 0.2}
    assert found(sure, sure, other, sure) == [("a", 0, 7)]
    assert found({"b": 0.2}, {"b": 0.2}) == []


def test_neighbours_overrule_a_window():
    sure, other = {"a": 0.9, "b": 0.3}, {"a": 0.3, "b": 0.6}
    assert found(sure, sure, other, sure, sure) == [("a", 0, 8)]


def test_windows_that_are_unsure_alone_are_sure_together():
    # Of one window no work is made, of four a work.
    assert found({}, {"a": 0.5}, {}) == []
    assert found({}, *[{"a": 0.5}] * 4, {}) == [("a", 1, 8)]


def best_path(evidence, change):
    """The best of all paths, tried one by one."""

    def worth(path):
        total = sum(evidence[step, state] for step, state in enumerate(path))
        return total - change * sum(a != b for a, b in pairwise(path))

    return max(product(range(evidence.shape[1]), repeat=len(evidence)), key=worth)


@pytest.mark.parametrize("seed", range(8))
def test_the_path_is_the_best_of_all(seed):
    evidence = np.random.default_rng(seed).normal(0, 2, (6, 4))
    assert tuple(likeliest(evidence, 2.0)) == best_path(evidence, 2.0)


def song(work, start, end, probability=0.9):
    return Song(start, end, match(work, probability))


def test_of_two_explanations_the_less_probable_is_left_out():
    a, b = song("a", 0, 100, 0.95), song("b", 20, 90, 0.6)
    assert settled([b, a]) == [a]
    later = song("b", 95, 200)
    assert settled([later, a]) == [a, later]


def test_songs_overlap_no_longer_than_a_fade():
    first, second = settled([song("a", 0, 100), song("b", 60, 200)])
    assert (first.start, second.end) == (0, 200)
    assert first.end - second.start == pytest.approx(12)
    assert (first.end + second.start) / 2 == pytest.approx(80)


def test_gaps_are_unknown():
    a, b = song("a", 30, 100), song("b", 104, 200)
    filled = with_gaps([a, b], 260)
    assert [(one.work, one.start, one.end) for one in filled] == [
        (None, 0, 30),
        ("a", 30, 100),
        ("b", 104, 200),
        (None, 200, 260),
    ]
    assert with_gaps([], 50) == [Song(0, 50)]
    assert Song(0, 50).to_dict() == {
        "start": 0,
        "end": 50,
        "work": None,
        "probability": None,
    }


# -- with sound -----------------------------------------------------------------------


ENCODER = Encoder(Projection())


def chords(seconds, seed):
    """Chords that change twice a second."""
    rng = np.random.default_rng(seed)
    time = np.arange(RATE // 2) / RATE
    parts = []
    for _ in range(2 * seconds):
        hertz = 440 * 2 ** ((48 + rng.choice(24, 3, replace=False) - 69) / 12)
        tones = np.sin(2 * np.pi * hertz[:, None] * time).sum(axis=0)
        parts.append(np.exp(-2 * time) * tones / 4)
    return np.concatenate(parts).astype(np.float32)


@pytest.fixture(scope="module")
def tunes():
    """Four recordings of a minute and a half."""
    return {name: chords(90, seed=40 + n) for n, name in enumerate("abcd")}


@pytest.fixture(scope="module")
def library(tmp_path_factory, tunes):
    """A catalogue of three of them."""
    pytest.importorskip("lancedb")
    identity = Identity("e" * 64, ENCODER.frontend, DIM)
    recordings, extracted = [], []
    for name in "abc":
        features, chroma = ENCODER.frontend.features_with_chroma(tunes[name])
        seconds = features.shape[1] * ENCODER.frontend.seconds_per_frame
        recordings.append(recording(ord(name), work=name, duration=seconds))
        extracted.append(Extracted(name, 0, 0, features, chroma))
    folder = tmp_path_factory.mktemp("library") / "catalogue"
    with open_catalogue(folder, identity, create=True) as made:
        rows, failed = embed_rows(ENCODER, recordings, extracted, Segmenting())
        assert not failed
        made.add(rows)
        yield made


@pytest.fixture(scope="module")
def concert(tmp_path_factory, tunes):
    """A faded into b, an unknown tune, silence, then c and c once more."""
    rng = np.random.default_rng(0)
    fade = np.linspace(0, 1, 5 * RATE, dtype=np.float32)
    a, b, c, d = (tunes[name] for name in "abcd")
    across = a[-len(fade) :] * (1 - fade) + b[: len(fade)] * fade
    noise = 0.05 * rng.standard_normal(12 * RATE).astype(np.float32)
    whole = np.concatenate(
        [a[: -len(fade)], across, b[len(fade) :], d[: 60 * RATE], noise, c, noise, c]
    )
    path = tmp_path_factory.mktemp("concert") / "concert.flac"
    soundfile.write(path, whole, RATE)
    assert len(load_audio(path)) == len(whole)
    return path


EXPECTED = [
    *(("a", 0, 90), ("b", 85, 175), (None, 175, 247), ("c", 247, 337)),
    *((None, 337, 349), ("c", 349, 439)),
]


def test_a_concert_becomes_a_timeline(library, concert):
    done = []
    songs = timeline(
        library,
        ENCODER,
        concert,
        default_calibration(),
        progress=lambda seconds, declared: done.append((seconds, declared)),
    )
    known = [song for song in songs if song.work]
    expected = [one for one in EXPECTED if one[0]]
    assert [song.work for song in known] == [work for work, *_ in expected]
    for song, (_, start, end) in zip(known, expected, strict=True):
        assert song.start == pytest.approx(start, abs=3)
        assert song.end == pytest.approx(end, abs=3)
        assert song.probability > 0.5
        assert song.match.recording_start < 5
    unknown = [song for song in songs if not song.work]
    assert any(abs(song.start - 175) < 4 for song in unknown)
    assert [seconds for seconds, _ in done] == sorted(seconds for seconds, _ in done)
    assert done[-1][0] == pytest.approx(439, abs=1)
    assert all(declared == pytest.approx(439, abs=0.1) for _, declared in done)


def test_a_concert_that_the_catalogue_holds_is_no_song_of_its_own(library, concert):
    features, chroma = ENCODER.frontend.features_with_chroma(load_audio(concert))
    facts = {"content": content_hash(concert), "size": concert.stat().st_size}
    own = recording(ord("m"), work="m", duration=439, **facts)
    extracted = Extracted("m", 0, 0, features, chroma)
    rows, _ = embed_rows(ENCODER, [own], [extracted], Segmenting())
    library.add(rows)
    try:
        songs = timeline(library, ENCODER, concert, default_calibration())
    finally:
        library.remove([own.id])
    works = [song.work for song in songs if song.work]
    assert works == [work for work, *_ in EXPECTED if work]


def test_songs_of_the_artist_of_the_concert_are_known(
    library, concert, tmp_path, monkeypatch
):
    path = tmp_path / "tagged.flac"
    shutil.copy(concert, path)
    tags = mutagen.File(path)
    tags["artist"] = "The Band"
    tags.save()
    asked = []

    def relation(straightness, is_same_content, artist, other_artist):
        asked.append(artist)
        return Relation("version", 1.0)

    monkeypatch.setattr(identification, "relation", relation)
    timeline(library, ENCODER, path, default_calibration())
    assert "The Band" in asked


def song_of(start, end, recording_start):
    """A song at the recording's tempo."""
    found = match("a", 0.9)
    places = {
        "query_start": start, "query_end": end, "recording_start": recording_start,
        "recording_end": recording_start + end - start,
    }  # fmt: skip
    return Song(start, end, replace(found, **places))


def test_a_song_of_two_stretches_covers_both():
    before, after = song_of(104, 170, 4), song_of(180, 336, 80)
    joined = _joined_with(before, after)
    assert (joined.start, joined.end) == (104, 336)
    match = joined.match
    assert (match.query_start, match.query_end) == (104, 336)
    assert (match.recording_start, match.recording_end) == (4, 236)
    # In another order, or with a part once more, only the longer one has its place.
    joined = _joined_with(song_of(0, 60, 200), song_of(60, 180, 0))
    assert (joined.start, joined.end) == (0, 180)
    assert (joined.match.recording_start, joined.match.recording_end) == (0, 120)
    joined = _joined_with(song_of(0, 100, 0), song_of(120, 180, 40))
    assert (joined.start, joined.end) == (0, 180)
    assert (joined.match.recording_start, joined.match.recording_end) == (0, 100)


def test_what_progress_raises_ends_the_work(library, concert):
    class Stopped(Exception):
        pass

    def stop(*_):
        raise Stopped

    with pytest.raises(Stopped):
        timeline(library, ENCODER, concert, default_calibration(), progress=stop)


def test_a_file_without_sound_is_refused(library, tmp_path):
    (tmp_path / "bad.mp3").write_bytes(b"bad")
    with pytest.raises(AudioError, match=r"bad\.mp3"):
        timeline(library, ENCODER, tmp_path / "bad.mp3", default_calibration())
    soundfile.write(tmp_path / "short.wav", np.full(2000, 0.5), RATE)
    with pytest.raises(AudioError, match="too short"):
        timeline(library, ENCODER, tmp_path / "short.wav", default_calibration())
