import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from bytecover_tf.audio.chroma import chroma_of_cqt
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING, Hearing
from bytecover_tf.audio.streaming import StreamedTransform
from bytecover_tf.data.features import open_features
from bytecover_tf.data.track import Track
from bytecover_tf.errors import AudioError
from bytecover_tf.features import main
from bytecover_tf.files import content_hash
from bytecover_tf.stores import extraction
from bytecover_tf.stores.extraction import Reader, extract_features
from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter

FRONTEND = Frontend(pool=20)


@pytest.fixture
def songs(tmp_path, music):
    """Six recordings of 4 to 9 s."""
    folder = tmp_path / "songs"
    paths = []
    for number in range(6):
        path = folder / f"work {number % 3}" / f"{number}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, music(4 + number, seed=number), 22050)
        paths.append(path)
    return paths


def test_store_holds_what_the_frontend_makes(songs, tmp_path):
    report = extract_features(songs, tmp_path / "store", FRONTEND, workers=2)
    assert (report.extracted, report.present, report.failed) == (6, 0, {})
    store = FeatureStore(tmp_path / "store")
    for path in songs:
        expected = FRONTEND.extract(path)
        np.testing.assert_allclose(store.features(path), expected, atol=1e-3)
        assert store.entry(path).key == content_hash(path)


def test_endings_may_be_in_capitals(tmp_path, rng):
    path = tmp_path / "a.NPY"
    with open(path, "wb") as file:
        np.save(file, rng.random((84, 60)))
    fine = extract_features([path], tmp_path / "fine", FRONTEND, source_pool=10)
    assert (fine.extracted, fine.failed) == (1, {})
    assert FeatureStore(tmp_path / "fine").features(path).shape == (84, 30)


def test_again_reads_only_what_is_new_or_changed(songs, tmp_path, music):
    store = tmp_path / "store"
    extract_features(songs[:4], store, FRONTEND, workers=1)
    soundfile.write(songs[0], music(12, seed=50), 22050)
    report = extract_features(songs, store, FRONTEND, workers=1)
    assert (report.extracted, report.present) == (3, 3)
    changed = FeatureStore(store).features(songs[0])
    np.testing.assert_allclose(changed, FRONTEND.extract(songs[0]), atol=1e-3)


def test_a_copy_shares_the_features_of_its_original(songs, tmp_path):
    store = tmp_path / "store"
    extract_features(songs, store, FRONTEND, workers=1)
    size = (store / "features.f16").stat().st_size
    copy = tmp_path / "copy.flac"
    copy.write_bytes(songs[0].read_bytes())
    assert extract_features([copy], store, FRONTEND, workers=1).extracted == 1
    assert (store / "features.f16").stat().st_size == size
    opened = FeatureStore(store)
    np.testing.assert_array_equal(opened.features(copy), opened.features(songs[0]))


def test_bad_files_are_named_and_skipped(songs, tmp_path, music):
    bad = {name: tmp_path / name for name in ("none.wav", "text.mp3", "empty.ogg")}
    bad["text.mp3"].write_text("no audio in here\n" * 100)
    bad["empty.ogg"].touch()
    bad["short.wav"] = tmp_path / "short.wav"
    soundfile.write(bad["short.wav"], music(0.2), 22050)
    bad["wrong.npy"] = tmp_path / "wrong.npy"
    np.save(bad["wrong.npy"], np.ones((12, 400)))
    bad["objects.npy"] = tmp_path / "objects.npy"
    np.save(bad["objects.npy"], np.array([{}], object), allow_pickle=True)
    paths = [*songs[:2], *bad.values(), songs[2]]
    report = extract_features(paths, tmp_path / "store", FRONTEND, workers=2)
    assert report.extracted == 3
    assert set(report.failed) == {str(path) for path in bad.values()}
    for path, reason in report.failed.items():
        assert path in reason
    assert "at least" in report.failed[str(bad["short.wav"])]
    assert "(84, frames)" in report.failed[str(bad["wrong.npy"])]


def test_precomputed_transforms_are_pooled(tmp_path, music):
    samples = music(10)
    partly = Frontend(pool=5, normalization="none").features(samples)
    np.save(tmp_path / "song.npy", partly)
    store = tmp_path / "store"
    extract_features([tmp_path / "song.npy"], store, FRONTEND, 1, source_pool=5)
    np.testing.assert_allclose(
        FeatureStore(store).features(tmp_path / "song.npy"),
        FRONTEND.features(samples),
        atol=1e-3,
    )


def test_what_a_store_has_of_no_file_counts_as_there(tmp_path):
    with FeatureStoreWriter(tmp_path / "store", FRONTEND) as writer:
        writer.add("tune-0", "0" * 64, np.ones((84, 5), np.float32))
    names = ["tune-0", "tune-1"]
    report = extract_features(names, tmp_path / "store", FRONTEND, 1)
    assert report.present == 1
    assert list(report.failed) == [os.path.abspath("tune-1")]


@pytest.mark.parametrize("by_a_command", [False, True])
def test_another_pooling_of_a_transform_is_read_anew(
    by_a_command, songs, tmp_path, music
):
    path, twin = tmp_path / "song.npy", tmp_path / "twin.npy"
    for each in (path, twin):
        np.save(each, Frontend(pool=1, normalization="none").features(music(30)))
    store = tmp_path / "store"

    def extract(source_pool):
        paths = [path, twin, songs[0]]
        if not by_a_command:
            return extract_features(paths, store, FRONTEND, 1, source_pool).extracted
        tracks = [Track(str(each), "work", str(each), "test") for each in paths]
        open_features(tracks, store, FRONTEND, 1, source_pool)
        return None

    frames = []
    for source_pool in (1, 10, 10, None):
        extracted = extract(source_pool)
        opened = FeatureStore(store)
        frames.append([opened.entry(each).frames for each in (path, twin, songs[0])])
    assert extracted in (0, None)
    (once, same, sound), tenfold, again, untold = frames
    assert tenfold == again == untold
    assert once == same
    # A column that averages ten frames lasts ten times as long.
    assert tenfold[:2] == pytest.approx([10 * once] * 2, abs=10)
    assert tenfold[2] == sound
    # Touched, its content is known.
    os.utime(path, (1, 1))
    extract(None)
    assert FeatureStore(store).entry(path).frames == tenfold[0]
    assert FeatureStore(store).entry(path).source_pool == 10
    # A wrong number can be taken back.
    extract(1)
    assert FeatureStore(store).entry(path).frames == once
    assert FeatureStore(store).entry(path).source_pool == 1


def test_a_crashing_decoder_costs_only_its_file(songs, tmp_path, monkeypatch):
    # Workers are new processes, so the crash must come from the file's name.
    monkeypatch.setattr(extraction, "Reader", _CrashOn3)
    report = extract_features(songs, tmp_path / "store", FRONTEND, workers=2)
    assert report.extracted == 5
    assert list(report.failed.values()) == [f"{songs[3]}: the decoder crashed"]


class _CrashOn3(extraction.Reader):
    def __call__(self, path):
        if path.endswith("3.flac"):
            os.kill(os.getpid(), signal.SIGKILL)
        return extraction.Extracted(path, 1, 1, np.ones((84, 3)))


def test_killed_and_run_again_loses_nothing(songs, tmp_path, music):
    for number in range(6, 30):
        path = songs[0].parent / f"{number}.flac"
        soundfile.write(path, music(60, seed=number), 22050)
        songs.append(path)
    store = tmp_path / "store"
    command = [
        *(sys.executable, "-m", "bytecover_tf.features", "--data", "folder"),
        *("--data-root", str(tmp_path / "songs"), "--out", str(store)),
        *("--set", "pool=20", "--workers", "1"),
    ]
    process = subprocess.Popen(command, start_new_session=True)
    index = store / "index.jsonl"
    deadline = time.monotonic() + 120
    while not (index.exists() and index.stat().st_size):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    survived = len(FeatureStore(store))
    assert 0 < survived < 30

    assert subprocess.run(command, check=False, timeout=120).returncode == 0
    opened = FeatureStore(store)
    assert len(opened) == 30
    for path in songs[:8]:
        np.testing.assert_allclose(
            opened.features(path), FRONTEND.extract(path), atol=1e-3
        )
    rows = sum(entry.frames for entry in opened)
    assert (store / "features.f16").stat().st_size == rows * 84 * 2


def test_exit_status_tells_all_some_or_nothing(songs, tmp_path, capsys):
    def run(root):
        arguments = ["--data", "folder", "--data-root", str(root), "--set", "pool=20"]
        return main([*arguments, "--out", str(tmp_path / "store"), "--workers", "1"])

    root = tmp_path / "songs"
    assert run(root) == 0
    assert "6 extracted, 0 already there, 0 failed" in capsys.readouterr().out
    (root / "work 0" / "bad.mp3").write_bytes(b"\xff\xfbnothing" * 9)
    assert run(root) == 1
    bad = tmp_path / "bad"
    (bad / "work").mkdir(parents=True)
    (bad / "work" / "a.wav").write_bytes(b"RIFF")
    assert run(bad) == 2


def test_chroma_is_read_where_it_is_asked_for(songs, tmp_path, rng):
    features, chroma = FRONTEND.extract_with_chroma(songs[0])
    read = Reader(FRONTEND, with_chroma=True).read(str(songs[0]))
    np.testing.assert_array_equal(read.features, features)
    np.testing.assert_array_equal(read.chroma, chroma)
    assert Reader(FRONTEND).read(str(songs[0])).chroma is None
    known = frozenset([read.key])
    again = Reader(FRONTEND, known=known, with_chroma=True).read(str(songs[0]))
    assert (again.key, again.features, again.chroma) == (read.key, None, None)


def test_chroma_of_a_precomputed_transform(tmp_path, rng):
    path = str(tmp_path / "cqt.npy")
    cqt = rng.random((84, 130)).astype(np.float32)
    np.save(path, cqt)
    for source_pool, frames in ((1, 6), (10, 65), (20, 130)):
        read = Reader(FRONTEND, source_pool, with_chroma=True).read(path)
        expected = chroma_of_cqt(cqt, source_pool)
        np.testing.assert_array_equal(read.chroma, expected)
        assert read.chroma.shape == (12, frames)
    np.save(path, cqt[:, :15])
    with pytest.raises(AudioError, match=r"cqt\.npy: shorter than one frame of chroma"):
        Reader(Frontend(pool=10), with_chroma=True).read(path)


def test_notes_are_heard_in_a_file(songs, tmp_path):
    path = str(songs[2])
    plain = Reader(FRONTEND, with_chroma=True).read(path)
    heard = Reader(FRONTEND, with_chroma=True, hearing=DEFAULT_HEARING).read(path)
    np.testing.assert_array_equal(heard.features, plain.features)
    stream = StreamedTransform(DEFAULT_HEARING.average)
    stream.add(load_audio(path))
    (means,) = stream.finish()
    expected, _, later = DEFAULT_HEARING.listen(means)
    assert expected.shape == (60, plain.chroma.shape[1])
    np.testing.assert_array_equal(heard.chroma, expected)
    np.testing.assert_array_equal(heard.later, later)
    assert plain.later is None
    # What is heard in a transform that is not estimated is nearly the same.
    fine = Frontend(pool=5, bins_per_octave=36, n_bins=252, normalization="none")
    precise = DEFAULT_HEARING.chroma(fine.extract(path))
    assert np.corrcoef(heard.chroma.ravel(), precise.ravel())[0, 1] > 0.99
    # As it is read in another process; whoever asks for no chroma gets none.
    read = Reader(FRONTEND, with_chroma=True, hearing=DEFAULT_HEARING)
    ((_, again),) = extraction.ProcessMap(read, 1).map([path])
    np.testing.assert_array_equal(again.chroma, expected)
    np.testing.assert_array_equal(again.later, later)
    assert Reader(FRONTEND, hearing=DEFAULT_HEARING).read(path).chroma is None


def test_no_notes_are_heard_in_a_precomputed_transform(tmp_path, rng):
    path = str(tmp_path / "cqt.npy")
    np.save(path, rng.random((84, 130)).astype(np.float32))
    reason = r"cqt\.npy: notes are heard in sound.*expected an audio file.*none"
    with pytest.raises(AudioError, match=reason):
        Reader(FRONTEND, with_chroma=True, hearing=DEFAULT_HEARING).read(path)
    read = Reader(FRONTEND, with_chroma=True, hearing=DEFAULT_HEARING)
    assert path in read(path)
    # For features alone, nothing is to be heard.
    assert Reader(FRONTEND, hearing=DEFAULT_HEARING).read(path).features.shape == (
        84,
        6,
    )


@pytest.mark.parametrize("frames", [10, 18])
def test_less_than_one_frame_of_chroma_is_refused(tmp_path, music, frames):
    path = tmp_path / "short.wav"
    soundfile.write(path, music(1)[: 512 * frames], 22050)
    with pytest.raises(AudioError, match=r"short\.wav: shorter than one frame of chr"):
        Reader(Frontend(pool=1), with_chroma=True, hearing=DEFAULT_HEARING).read(
            str(path)
        )


def test_a_network_that_is_gone_is_a_reason(songs, tmp_path):
    read = Reader(
        FRONTEND, with_chroma=True, hearing=Hearing(str(tmp_path / "none.onnx"))
    )
    reason = read(str(songs[0]))
    assert "none.onnx: no network that hears notes" in reason


def test_a_file_without_permission_is_one_reason(songs, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(extraction, "content_hash", refuse)
    reason = Reader(FRONTEND)(str(songs[0]))
    assert reason == f"{songs[0]}: cannot be read: Permission denied"


def test_verify_extracts_what_is_damaged_anew(songs, tmp_path, capsys):
    folder = str(songs[0].parents[1])
    store = tmp_path / "store"
    run = ["--data", "folder", "--data-root", folder, "--out", str(store)]
    run += ["--workers", "1", "--verify"]
    assert main(run) == 0
    before = {path: FeatureStore(store).features(path) for path in songs}
    rows = np.memmap(store / "features.f16", np.float16, "r+")
    rows[FeatureStore(store).entry(songs[2]).start * 84 + 100] += 0.5
    rows.flush()
    assert main(run[:-1]) == 0
    assert "6 already there" in capsys.readouterr().out
    assert main(run) == 0
    told = capsys.readouterr()
    assert f"damaged: {songs[2]}: extracted anew" in told.err
    assert "1 extracted, 5 already there" in told.out
    for path, features in before.items():
        np.testing.assert_array_equal(FeatureStore(store).features(path), features)
    assert FeatureStore(store).damaged() == []

    # One that cannot be extracted stays damaged, and the exit status says so.
    rows = np.memmap(store / "features.f16", np.float16, "r+")
    rows[FeatureStore(store).entry(songs[2]).start * 84 + 100] += 0.5
    rows.flush()
    songs[2].rename(tmp_path / "elsewhere.flac")
    assert main(run) == 1
    assert f"damaged: {songs[2]}: still damaged" in capsys.readouterr().err
