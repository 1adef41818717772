import csv
import shutil

import numpy as np
import pytest
import soundfile
from store_contents import contents

from bytecover_tf import cli
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import load_dataset
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.errors import ConfigError, DataError
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter
from bytecover_tf.stores.note_store import NoteStore
from bytecover_tf.synth import rerecord
from bytecover_tf.synth.rerecord import Rerecorder, hearing
from bytecover_tf.synth.sound.sound_effects import SAMPLE_RATE
from bytecover_tf.synth.sound.takes import Take, draw_take, play

FRONTEND = Frontend(pool=20)


def tone(hertz, seconds):
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def pitch(sound):
    """The strongest frequency of a sound."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return np.argmax(power) * SAMPLE_RATE / len(sound)


@pytest.fixture
def folder(tmp_path, music):
    """Three recordings, of which two are the same, one too short and one broken."""
    songs = tmp_path / "songs" / "an album"
    songs.mkdir(parents=True)
    soundfile.write(songs / "first.flac", music(30, seed=1), SAMPLE_RATE)
    soundfile.write(songs / "second.wav", music(25, seed=2), SAMPLE_RATE)
    shutil.copy(songs / "second.wav", songs / "twin.wav")
    soundfile.write(songs / "short.wav", music(5), SAMPLE_RATE)
    (songs / "broken.mp3").write_bytes(b"no music")
    return tmp_path / "songs"


def run(folder, out, *more):
    return rerecord.main(
        ["--recordings", str(folder), "--out", str(out), "--workers", "1", *more]
    )


def csv_rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("semitones", [-5, 0, 3])
@pytest.mark.parametrize("tempo", [0.7, 1.0, 1.4])
def test_a_take_has_another_key_and_tempo(semitones, tempo):
    played = play(tone(440, 6), Take(semitones=semitones, tempo=tempo))
    assert played.shape == (pytest.approx(6 * SAMPLE_RATE / tempo, rel=1e-3),)
    assert played.dtype == np.float32
    assert pitch(played) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.005)


def test_a_take_begins_ends_and_leaves_out():
    parts = [tone(hertz, 1) for hertz in (200, 300, 400, 500, 600)]
    played = play(np.concatenate(parts), Take(start=0.2, stop=0.8, cut=1 / 3))
    assert len(played) == pytest.approx(2 * SAMPLE_RATE, abs=0.06 * SAMPLE_RATE)
    half = len(played) // 2
    assert pitch(played[: half - 2000]) == pytest.approx(300, rel=0.01)
    assert pitch(played[half + 2000 :]) == pytest.approx(500, rel=0.01)


def test_takes_differ_by_seed_and_stay_within_what_covers_do():
    takes = [draw_take(np.random.default_rng(seed)) for seed in range(200)]
    assert takes[3] == draw_take(np.random.default_rng(3))
    assert len(set(takes)) == 200
    for take in takes:
        assert 0 <= take.start < 0.15 < 0.85 < take.stop <= 1
        assert -7 < take.semitones < 7
        assert 0.6 < take.tempo < 1.6
        assert take.cut == 0 or 0.1 <= take.cut <= 0.3
    assert 30 < sum(take.cut > 0 for take in takes) < 90
    # Some are a record at another speed.
    together = [np.isclose(2 ** (t.semitones / 12), t.tempo) for t in takes]
    assert 20 < sum(together) < 60


def test_recordings_become_works_that_can_be_trained_on(folder, tmp_path, capsys):
    out = tmp_path / "set"
    assert run(folder, out, "--versions", "3") == cli.SOME_FAILED
    printed = capsys.readouterr()
    assert "2 recordings made into works, 2 failed" in printed.out
    assert "short.wav: 5.0 s long, expected at least 20 s" in printed.err
    assert "broken.mp3" in printed.err

    tracks = load_dataset("tunes", out)
    works = sorted({track.work for track in tracks})
    assert len(tracks) == 6
    assert len(works) == 2
    sources = csv_rows(out / "sources.csv")
    assert sorted(row["work"] for row in sources) == works
    assert "first" in {row["title"] for row in sources}
    store = FeatureStore(out / "store")
    assert store.frontend == FRONTEND
    hear, _ = hearing("bytecover-small")
    scores = NoteStore(store)
    for track in tracks:
        entry = store.entry(track.path)
        heard = scores.rows(entry, 0, 10_000)
        assert heard.shape == (entry.frames, 84, 2)
        if track.id.endswith("-0"):
            # As it is, and with what is heard in it.
            expected = hear(store.features(track.path))
            np.testing.assert_allclose(heard.transpose(2, 1, 0), expected, atol=0.01)
    for work in works:
        first, *others = (store.features(t.path) for t in tracks if t.work == work)
        for other in others:
            assert other.shape != first.shape


def test_a_score_goes_with_its_version_not_with_what_the_medium_adds(tmp_path):
    """A loud hiss below all versions: what was heard without it stays the score."""
    songs, noises = tmp_path / "songs", tmp_path / "noises"
    songs.mkdir()
    noises.mkdir()
    melody = [tone(440 * 2 ** (n / 12), 0.5) for n in (0, 2, 4, 5, 7, 9) * 8]
    soundfile.write(songs / "melody.wav", np.concatenate(melody), SAMPLE_RATE)
    hiss = np.random.default_rng(0).standard_normal(30 * SAMPLE_RATE)
    soundfile.write(noises / "hiss.wav", 0.1 * hiss, SAMPLE_RATE)
    make = Rerecorder(FRONTEND, 12, (noises / "hiss.wav",))
    versions = make(str(songs / "melody.wav")).versions
    high = slice(60, 84)  # beyond the melody
    floor = [(np.median(f[high]), np.median(passage[high])) for f, passage in versions]
    noisy = [heard > 3 * played for heard, played in floor]
    assert 2 <= sum(noisy) <= 10
    for features, passage in versions:
        assert features.shape == passage.shape
        # The same note is the loudest in both, frame by frame.
        same = np.abs(features.argmax(axis=0) - passage.argmax(axis=0)) <= 1
        assert same.mean() > 0.6


def test_a_second_run_makes_nothing_and_a_killed_one_goes_on(folder, tmp_path):
    out = tmp_path / "set"
    run(folder, out, "--versions", "2")
    expected, table = contents(out), (out / "tracks.csv").read_bytes()
    works = frozenset(row["work"] for row in csv_rows(out / "tracks.csv"))
    for name in ("first.flac", "twin.wav"):
        path = str(folder / "an album" / name)
        assert Rerecorder(FRONTEND, 2)(path).work in works
        assert Rerecorder(FRONTEND, 2, done=works)(path).versions == []

    # As left by a run that was killed within the second work.
    index = out / "store" / "index.jsonl"
    index.write_text("".join(index.read_text().splitlines(keepends=True)[:3]))
    run(folder, out, "--versions", "2")
    assert contents(out) == expected
    assert (out / "tracks.csv").read_bytes() == table
    rows = (out / "store" / "features.f16").read_bytes()
    run(folder, out, "--versions", "2")
    assert (out / "store" / "features.f16").read_bytes() == rows


def test_versions_can_be_heard(tmp_path, music):
    songs, sound = tmp_path / "songs", tmp_path / "sound"
    songs.mkdir()
    soundfile.write(songs / "song.wav", music(30), SAMPLE_RATE)
    run(songs, tmp_path / "set", "--versions", "2", "--sound", str(sound))
    store = FeatureStore(tmp_path / "set" / "store")
    assert sorted(path.stem for path in sound.iterdir()) == [e.source for e in store]
    for entry in store:
        heard = FRONTEND.extract(sound / f"{entry.source}.flac")
        np.testing.assert_allclose(store.features(entry.source), heard, atol=0.01)


def test_recordings_join_a_drawn_set(folder, tmp_path):
    out = tmp_path / "set"
    out.mkdir()
    fields = ("id", "work", "path", "split", "role", "title")
    drawn = "00000-0,00000,00000-0,train,both,A tune\n"
    (out / "tracks.csv").write_text(",".join(fields) + "\n" + drawn)
    with FeatureStoreWriter(out / "store", FRONTEND) as writer:
        writer.add("00000-0", "0" * 64, np.ones((84, 40)))
    with pytest.raises(DataError, match="expected a set with scores"):
        run(folder, out, "--versions", "2")
    (out / "store" / "scores.u8").write_bytes(bytes(2 * 84 * 40))
    for _ in range(2):
        run(folder, out, "--versions", "2")
        rows = csv_rows(out / "tracks.csv")
        assert rows[0]["title"] == "A tune"
        assert len(rows) == len({row["id"] for row in rows}) == 5


def test_an_encoder_must_hear(tmp_path):
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    path = tmp_path / "deaf.keras"
    save_model(model, path, FRONTEND, {})
    with pytest.raises(ConfigError, match=r"deaf\.keras: cannot hear notes"):
        hearing(path)


def test_nothing_usable_is_said(tmp_path, capsys):
    songs = tmp_path / "songs"
    songs.mkdir()
    with pytest.raises(DataError, match="expected recordings"):
        run(songs, tmp_path / "set")
    (songs / "broken.mp3").write_bytes(b"no music")
    assert run(songs, tmp_path / "set") == cli.NOTHING_DONE
    assert not (tmp_path / "set" / "tracks.csv").exists()
