import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from catalogue_rows import DIM, IDENTITY, chroma, recording, whole

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogue import main as look_after
from bytecover_tf.catalogues import open_catalogue
from bytecover_tf.cli import questions
from bytecover_tf.errors import DataError
from bytecover_tf.group import main as group_main
from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.decisions import Decision, Record
from bytecover_tf.review import main

SECONDS = seconds_per_frame(Frontend())


@pytest.fixture
def address(tmp_path, rng, music, capsys):
    """A catalogue with two questions: {0, 1} and {2, 3}."""
    pytest.importorskip("lancedb")
    address = str(tmp_path / "catalogue")
    rows = []
    for number, of in enumerate([0, 0, 3, 3, 5]):
        name = recording(16 + number).id
        path = tmp_path / f"{number}.flac"
        soundfile.write(path, music(5, seed=number), 22050)
        known = {"duration": 60 * SECONDS, "work": name, "path": str(path)}
        row = whole(16 + number, rng.standard_normal(DIM), **known)
        rows.append(replace(row, chroma=np.roll(chroma(of, 60), number, axis=0)))
    with open_catalogue(address, IDENTITY, create=True) as catalogue:
        catalogue.add(rows)
    # Versions have a probability of .8, strangers of 0.
    fit = tmp_path / "fit.json"
    Calibration(-7.0, 0.5, unsure=0.3).save(fit)
    options = ["--catalogue", address, "--calibration", str(fit), "--threshold", "0.9"]
    assert group_main(options) == 0
    assert "2 links are for a person to decide" in capsys.readouterr().out
    return address


def works(address):
    with open_catalogue(address) as catalogue:
        return [
            item.work for item in sorted(catalogue.recordings(), key=lambda i: i.path)
        ]


def test_a_merged_work_without_a_name_is_listed(address, capsys):
    assert main(["--catalogue", address, "accept", "1"]) == 0
    (name,) = (name for name, count in Counter(works(address)).items() if count == 2)
    capsys.readouterr()
    assert look_after(["list", "--catalogue", address]) == 0
    head, *rows, _ = capsys.readouterr().out.splitlines()
    start, end = head.index("work"), head.index("year")
    shown = [row[start:end].strip() for row in rows]
    assert sorted(shown) == ["", "", "", name, name]


def test_questions_are_shown_and_decided(address, tmp_path, music, capsys):
    options = ["--catalogue", address]
    before = works(address)
    assert main(options) == 0  # not on a terminal
    told = capsys.readouterr().out
    assert "1: probability" in told
    assert "(unsure)" in told
    assert "2 questions" in told
    picture = tmp_path / "match.png"
    # As `index --allow-truncated` takes it.
    for truncated in (tmp_path / "0.flac", tmp_path / "2.flac"):
        soundfile.write(truncated, music(5), 22050, format="WAV")
        truncated.write_bytes(truncated.read_bytes()[: 3 * 2 * 22050])
    assert main([*options, "show", "2", "--plot", str(picture)]) == 0
    assert capsys.readouterr().out.startswith("2: probability")
    assert picture.read_bytes()[:4] == b"\x89PNG"

    assert main([*options, "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["number"], first["reason"]) == (1, "unsure")
    assert main([*options, "accept", "1", "--work", "Yesterday"]) == 0
    assert "2 recordings have the work Yesterday now" in capsys.readouterr().out
    assert main([*options, "reject", "2", "--json"]) == 0
    decided = json.loads(capsys.readouterr().out)
    assert sorted(name for side in decided["apart"] for name in side) == sorted(
        [second["first"]["id"], second["second"]["id"]]
    )
    assert main([*options, "list"]) == 0
    assert "0 questions" in capsys.readouterr().out
    assert sorted(works(address)).count("Yesterday") == 2

    path = str(tmp_path / "4.flac")
    assert main([*options, "merge", path, first["first"]["path"]]) == 0
    assert works(address).count("Yesterday") == 3
    assert main([*options, "split", path, "--work", "alone"]) == 0
    assert works(address)[4] == "alone"
    with pytest.raises(DataError, match="expected no name, found 12"):
        main([*options, "undo", "12"])
    for _ in range(4):
        assert main([*options, "undo"]) == 0
    assert "accept undone; 2 recordings" in capsys.readouterr().out
    assert works(address) == before
    with pytest.raises(DataError, match="no decision to undo"):
        main([*options, "undo"])


@pytest.mark.parametrize("names", [[], ["x"], ["1", "2"], ["99"]])
def test_a_wrong_number_is_told(address, names):
    with pytest.raises(DataError, match="expected the number of a question"):
        main(["--catalogue", address, "accept", *names])


def test_keys_decide(address, monkeypatch, capsys):
    before = works(address)

    def press(keys):
        left = iter(keys)
        monkeypatch.setattr(questions, "read_key", lambda: next(left))
        assert main(["--catalogue", address, "ask"]) == 0
        assert not list(left)
        return capsys.readouterr()

    monkeypatch.setattr(questions.shutil, "which", lambda name: None)
    told = press("?1pss")
    assert "[a]ccept [r]eject" in told.out
    assert "install ffplay" in told.out
    assert "written: " in told.out
    assert "no more questions, 2 skipped" in told.out
    assert works(address) == before
    press("aq")
    assert len(set(works(address))) == 4
    assert "accept undone" in press("uq").out
    assert works(address) == before
    # An error is told, and the next key may do better.
    assert "no decision to undo" in press("uaq").err
    assert len(set(works(address))) == 4
    # What `group` did in hours is not a key's to take back.
    with open_catalogue(address) as catalogue:
        record = Record(catalogue)
        (name, work), *_ = ((one.id, one.work) for one in catalogue.recordings())
        record.take(lambda recordings: Decision("group", {name: (work, "merged")}))
    assert "is a merge of `group`" in press("uq").err
    assert "merged" in works(address)


def test_a_player_starts_where_the_recordings_match(tmp_path, monkeypatch):
    log = tmp_path / "log"
    player = tmp_path / "ffplay"
    player.write_text(f'#!/bin/sh\necho "$@" >> {log}\nsleep 60\n')
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with questions._Player() as opened:
        opened.play(recording(1), 12.5)
        deadline = time.monotonic() + 60
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        running = opened._running
    assert running.poll() is not None
    assert "-ss 12.5" in log.read_text()
    assert "/music/1.flac" in log.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="terminals are other things there")
def test_on_a_terminal_keys_need_no_return(address):
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "bytecover_tf.review", "--catalogue", address]
    text = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as run:
        os.close(theirs)
        try:
            # That on which the arrow up ends would accept.
            for count, key in enumerate((b"\x1b[A", b"r", b"q"), 1):
                while text.count(b"[q]uit") < count:
                    assert select.select([ours], [], [], 60)[0], text
                    text += os.read(ours, 4096)
                os.write(ours, key)
            assert run.wait(60) == 0
        finally:
            run.kill()
    os.close(ours)
    assert b"reject: kept" in text
    assert b"accept: kept" not in text
