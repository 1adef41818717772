import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from bytecover_tf.audio import teacher
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import ConfigError
from bytecover_tf.files import content_hash
from bytecover_tf.label import main
from bytecover_tf.stores.labelled_store import LabelledStore


@pytest.fixture
def songs(tmp_path, music, toy_teacher):
    """Four recordings of 4 to 7 s, in two folders."""
    paths = []
    for number in range(4):
        path = tmp_path / "songs" / f"album {number % 2}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, music(4 + number, seed=number), 22050, "FLOAT")
        paths.append(path)
    return paths


def label(tmp_path, *more):
    return main(
        [
            *("--recordings", str(tmp_path / "songs")),
            *("--out", str(tmp_path / "store"), "--workers", "2", *more),
        ]
    )


def test_what_is_there_of_truncated_files_is_taken_if_asked(songs, tmp_path):
    songs[1].write_bytes(songs[1].read_bytes()[:200_000])
    assert label(tmp_path) == 1
    assert label(tmp_path, "--allow-truncated") == 0
    rows = {row.name: row for row in LabelledStore(tmp_path / "store")}
    assert rows[songs[1].name].seconds == pytest.approx(200_000 / 4 / 22050, abs=0.1)


def test_features_and_labels_lie_on_one_grid(songs, tmp_path, capsys):
    assert label(tmp_path) == 0
    assert "4 labelled, 0 already there, 0 failed" in capsys.readouterr().out
    store = LabelledStore(tmp_path / "store")
    rows = {row.name: row for row in store}
    assert set(rows) == {path.name for path in songs}
    for number, path in enumerate(songs):
        row = rows[path.name]
        assert row.id == content_hash(path)[:12]
        assert (row.set, row.role, row.work) == ("songs", "train", str(number))
        assert (row.kind, row.source) == ("full", str(path.parent))
        assert row.seconds == pytest.approx(4 + number)
        read = store.features(row)
        for name, octave, bins in [("cqt12", 12, 84), ("cqt36", 36, 252)]:
            frontend = Frontend(pool=5, bins_per_octave=octave, n_bins=bins)
            expected = frontend.extract(path)
            k = expected.mean() / 10
            np.testing.assert_allclose(
                np.log1p(read.amplitudes(name) / k), np.log1p(expected / k), atol=0.02
            )
        # What the toy hears, averaged over the ten frames of 256 samples in a plain
        # loop.
        samples, _ = soundfile.read(path)
        for t in range(read.notes.shape[1]):
            centres = [s for s in range(2560 * t, 2560 * (t + 1), 256)]
            heard = [abs(samples[s]) for s in centres if s < len(samples)]
            np.testing.assert_allclose(
                read.notes[:, t] / 255, sum(heard) / 10, atol=0.003
            )
            np.testing.assert_allclose(
                read.onsets[:, t] / 255, sum(heard) / 20, atol=0.003
            )


def test_again_labels_only_new_content(songs, tmp_path, music, capsys):
    assert label(tmp_path) == 0
    files = sorted((tmp_path / "store" / "features").iterdir())
    times = [path.stat().st_mtime_ns for path in files]
    soundfile.write(tmp_path / "songs" / "new.wav", music(3, seed=9), 22050)
    songs[0].rename(songs[0].with_name("renamed.wav"))
    (tmp_path / "songs" / "copy.wav").write_bytes(songs[1].read_bytes())
    capsys.readouterr()
    assert label(tmp_path, "--set", "more", "--role", "dev") == 0
    assert "1 labelled, 5 already there" in capsys.readouterr().out
    assert [path.stat().st_mtime_ns for path in files] == times
    rows = list(LabelledStore(tmp_path / "store"))
    assert [(row.set, row.role) for row in rows] == 4 * [("songs", "train")] + [
        ("more", "dev")
    ]


def test_copies_within_a_run_are_one_recording(songs, tmp_path, capsys):
    for number in range(3):
        copy = tmp_path / "songs" / f"copy {number}.wav"
        copy.write_bytes(songs[0].read_bytes())
    assert label(tmp_path) == 0
    assert "4 labelled, 3 already there" in capsys.readouterr().out
    assert len(LabelledStore(tmp_path / "store")) == 4


def test_bad_files_are_named_and_skipped(songs, tmp_path, capsys):
    bad = tmp_path / "songs" / "bad.mp3"
    bad.write_text("no music\n" * 100)
    silent = tmp_path / "songs" / "silent.wav"
    soundfile.write(silent, np.zeros(50_000), 22050)
    (tmp_path / "songs" / "features.npy").write_bytes(b"")
    assert label(tmp_path) == 1
    printed = capsys.readouterr()
    assert f"skipped: {bad}: " in printed.err
    assert f"skipped: {silent}: is silent" in printed.err
    assert "4 labelled, 0 already there, 2 failed" in printed.out
    assert len(LabelledStore(tmp_path / "store")) == 4


def test_nothing_done_is_status_2(tmp_path, toy_teacher, capsys):
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "bad.mp3").write_text("no music")
    assert label(tmp_path) == 2
    assert "bad.mp3" in capsys.readouterr().err


def test_an_absent_teacher_ends_the_command_before_it_writes(
    songs, tmp_path, monkeypatch
):
    monkeypatch.setattr(teacher, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install --no-deps basic-pitch==0.4.0"):
        label(tmp_path)
    assert not (tmp_path / "store").exists()


def test_killed_and_run_again_loses_nothing(songs, tmp_path, music):
    for number in range(12):
        path = tmp_path / "songs" / f"long {number}.wav"
        soundfile.write(path, music(20, seed=100 + number), 22050)
    store = tmp_path / "store"
    command = [
        *(sys.executable, "-m", "bytecover_tf.label", "--workers", "1"),
        *("--recordings", str(tmp_path / "songs"), "--out", str(store)),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (store / "recordings.csv").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    survivors = list(LabelledStore(store))
    assert 0 < len(survivors) < 16

    again = subprocess.run(
        command, env=environment, check=False, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert f"{16 - len(survivors)} labelled" in again.stdout
    opened = LabelledStore(store)
    assert list(opened)[: len(survivors)] == survivors
    for row in opened:
        assert opened.features(row).notes.shape[1] > 30
    with open(store / "recordings.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 16
