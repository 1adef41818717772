import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small_run import SMALL, given_encoder, manifest

from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.errors import ByteCoverError, ConfigError
from bytecover_tf.evaluation.protocol import evaluate_tracks
from bytecover_tf.files import lock
from bytecover_tf.train import main
from bytecover_tf.training.config import override
from bytecover_tf.training.run import LOCK, TrainingRun


def test_the_command_killed_and_resumed(small_set, tmp_path):
    """kill -9 in the middle of an epoch, then --resume."""
    from bytecover_tf.train import main

    path = manifest(*small_set, tmp_path)
    run = tmp_path / "run"
    settings = ["blocks=(1,1,1,1)", "width=4", "works_per_batch=4", "crop_frames=(16,)",
                "steps_per_epoch=50", "epochs=3"]  # fmt: skip
    data = ["--data", "manifest", "--data-root", str(path), "--source-pool", "100"]
    overrides = [part for setting in settings for part in ("--set", setting)]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "bytecover_tf.train", "--run-dir", str(run)),
            *(*data, *overrides),
        ],
        start_new_session=True,
    )
    deadline = time.monotonic() + 240
    while not (run / "log.csv").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (run / "metrics.json").exists()

    with pytest.raises(ConfigError, match="--resume"):
        main(["--run-dir", str(run), *data])
    assert main(["--run-dir", str(run), "--resume"]) == 0
    assert json.loads((run / "metrics.json").read_text())["epochs"] == 3
    log = (run / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in log[1:]] == ["1", "2", "3"]


def test_the_command_starts_from_an_encoder(small_set, tmp_path):
    from bytecover_tf.train import main

    tracks, store = small_set
    path = given_encoder(tmp_path / "encoder.keras", store, [])
    data = manifest(tracks, store, tmp_path)
    run = tmp_path / "run"
    command = ["--data", "manifest", "--data-root", str(data), "--source-pool", "100"]
    for setting in ("blocks=(1,1,1,1)", "width=4", "crop_frames=(16,)", "epochs=1",
                    "steps_per_epoch=1"):  # fmt: skip
        command += ["--set", setting]
    # A run directory is as good as its encoder.
    assert main([*command, "--run-dir", str(run), "--init", str(tmp_path)]) == 0
    assert json.loads((run / "run.json").read_text())["init"] == str(tmp_path)
    test = [track for track in tracks if track.split == "test"]
    measured = evaluate_tracks(load_encoder(path), test, store).metrics
    before = json.loads((run / "metrics.json").read_text())["before"]
    assert before["map"] == pytest.approx(measured["map"])


def test_recordings_of_datacos_are_left_out_of_training(tmp_path, capsys):
    root, benchmark = tmp_path / "shs", tmp_path / "datacos"
    (root / "audio").mkdir(parents=True)
    benchmark.mkdir()
    rows = [("1", "0", "Song", "A"), ("1", "1", "Song", "B"), ("2", "0", "Tune", "C")]
    (root / "list").write_text(
        "".join("\t".join((*row, "", "True")) + "\n" for row in rows)
    )
    for split, lines in [("TRAIN", "1\t0\n1\t1\n"), ("VAL", ""), ("TEST", "2\t0\n")]:
        (root / f"SHS100K-{split}").write_text(lines)
    for name in ("1_0", "1_1", "2_0"):
        (root / "audio" / f"{name}.mp3").touch()
    entry = {"perf_title": "song", "perf_artist": "b"}
    other = {"perf_title": "Tune", "perf_artist": "C"}
    (benchmark / "da-tacos_benchmark_subset_metadata.json").write_text(
        json.dumps({"W_1": {"P_1": entry, "P_2": other}})
    )
    run = TrainingRun(SMALL, "x", "shs100k", root, without_datacos=benchmark)
    # The test split is the benchmark's own affair.
    assert [track.id for track in run.tracks()] == ["1_0", "2_0"]
    assert "left out 1" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="shs100k and shs100k2"):
        TrainingRun(SMALL, "x", "folder", root, without_datacos=benchmark)


def test_a_run_is_kept_and_found_as_it_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = TrainingRun(SMALL, "x", "folder", Path("music"), split_seed=3, seed=4,
                      init=Path("bytecover-small"), teacher=Path("runs/a"))  # fmt: skip
    run.save(tmp_path / "run")
    monkeypatch.chdir("/")
    assert TrainingRun.begun(tmp_path / "run") == run
    request = json.loads((tmp_path / "run" / "run.json").read_text())
    assert request["data_root"] == str(tmp_path / "music")
    assert request["init"] == "bytecover-small"
    assert request["teacher"] == str(tmp_path / "runs" / "a")
    changed = TrainingRun.begun(tmp_path / "run", ["epochs=9"])
    assert changed == replace(run, config=override(SMALL, ["epochs=9"]))

    # Once there is a checkpoint, it says what the network is.
    assert TrainingRun.begun(tmp_path / "run", ["margin=0.9"]).config.margin == 0.9
    checkpoint = tmp_path / "run" / "checkpoint.keras"
    checkpoint.touch()
    with pytest.raises(ConfigError, match="cannot change margin, frontend; begin"):
        TrainingRun.begun(tmp_path / "run", ["margin=0.9", "frontend.pool=20"])
    checkpoint.unlink()

    # Runs from before there were --init and --teacher do not name them.
    for name in ("init", "teacher"):
        del request[name]
    (tmp_path / "run" / "run.json").write_text(json.dumps(request))
    assert TrainingRun.begun(tmp_path / "run") == replace(run, init=None, teacher=None)
    del request["seed"], request["data"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(request))
    with pytest.raises(ConfigError, match=r"run\.json: damaged \(data, seed missing"):
        TrainingRun.begun(tmp_path / "run")
    with pytest.raises(ConfigError, match="no run to resume"):
        TrainingRun.begun(tmp_path)


def test_a_refused_run_leaves_no_run_directory(small_set, tmp_path):
    data = manifest(*small_set, tmp_path)
    config = override(SMALL, ["works_per_batch=99"])
    run = TrainingRun(config, "x", "manifest", data, source_pool=100)
    with pytest.raises(ByteCoverError, match="99 works"):
        run.train(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    mended = replace(run, config=override(SMALL, ["epochs=1", "steps_per_epoch=1"]))
    assert mended.train(tmp_path / "run").figures
    # Settings that are refused later are not those of the run either.
    kept = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(ByteCoverError, match="99 works"):
        run.train(tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "run.json").read_bytes() == kept


def test_two_trainings_do_not_share_a_run_directory(small_set, tmp_path):
    """Not even if both begin before either has named it."""
    data = manifest(*small_set, tmp_path)
    config = override(SMALL, ["epochs=1", "steps_per_epoch=1"])
    run = TrainingRun(config, "x", "manifest", data, source_pool=100)
    folder = tmp_path / "run"
    folder.mkdir()
    with (
        lock(folder / LOCK),
        pytest.raises(ConfigError, match="another process is training there"),
    ):
        run.train(folder)
    tracks = TrainingRun.tracks

    def begun_meanwhile(self):
        run.save(folder)
        return tracks(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRun, "tracks", begun_meanwhile)
        with pytest.raises(ConfigError, match="holds a run already"):
            run.train(folder)
    # What a killed run has left half-written goes.
    rest = folder / ".checkpoint.1.part.keras"
    rest.write_text("half")
    assert run.finish(folder)
    assert not rest.exists()


def test_a_resumed_run_takes_nothing_else(tmp_path):
    music = tmp_path / "music"
    TrainingRun(SMALL, "x", "folder", music, split_seed=3).save(tmp_path / "run")
    same = ["--data", "folder", "--data-root", str(music), "--split-seed", "3"]
    other = ["--seed", "5", "--init", "bytecover-small"]
    with pytest.raises(ConfigError, match="drop --init, --seed$"):
        main(["--resume", "--run-dir", str(tmp_path / "run"), *same, *other])


def test_an_interrupted_run_says_how_it_continues(tmp_path, monkeypatch, capsys):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingRun, "train", interrupt)
    assert main(["--run-dir", str(tmp_path / "run")]) == 2
    assert "continue by the same command" in capsys.readouterr().err
    TrainingRun(SMALL, "x").save(tmp_path / "run")
    assert main(["--run-dir", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert f"continue with --resume --run-dir {tmp_path / 'run'}" in told


def test_a_run_is_finished_once(small_set, tmp_path, monkeypatch):
    data = manifest(*small_set, tmp_path)
    config = override(SMALL, ["epochs=1", "steps_per_epoch=1"])
    run = TrainingRun(config, "x", "manifest", data, source_pool=100)
    figures = run.finish(tmp_path / "run")
    assert figures == json.loads((tmp_path / "run" / "metrics.json").read_text())
    monkeypatch.setattr(TrainingRun, "train", None)
    assert run.finish(tmp_path / "run") == figures
    with pytest.raises(ConfigError, match="run with another seed"):
        replace(run, seed=1).finish(tmp_path / "run")
