"""Several replicas do what one would, and survive what befalls hosts."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from on_two_devices import (
    OUTPUTS,
    loss_and_gradients,
    normalised,
    small_model,
    taught,
)

from benchmarks.common.processes import free_ports
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.model_file import read_info, save_model
from bytecover_tf.errors import ConfigError
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.training.config import Config, override
from bytecover_tf.training.loop import train
from bytecover_tf.training.replicas import Replicas, join

ROOT = Path(__file__).parents[2]
SETTINGS = [
    "blocks=(1,1,1,1)",
    "width=4",
    "works_per_batch=4",
    "versions_per_work=3",
    "crop_frames=(16,)",
    "learning_rate=1e-3",
    "steps_per_epoch=4",
    "epochs=2",
]


def losses(run):
    return [row["loss"] for row in read_info(run / "checkpoint.keras")["history"]]


def test_one_replica_is_alone():
    replicas = join()
    assert (replicas.count, replicas.here, replicas.is_chief) == (1, range(1), True)
    replicas.check_same({"a": 1})
    with replicas.chief_first():
        pass


def test_a_gpu_that_lies_idle_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("bytecover_tf.training.replicas.NVIDIA", tmp_path)
    assert join().count == 1
    assert "tensorflow[and-cuda]" in capsys.readouterr().err


@pytest.mark.parametrize(
    "config",
    ["{", "[]", '{"cluster": {"worker": ["a:1"]}}',
     '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}'],
)  # fmt: skip
def test_a_cluster_that_cannot_be_read_is_refused(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ConfigError, match="TF_CONFIG: expected"):
        join()


def test_hosts_that_differ_are_named_with_what_differs(monkeypatch):
    replicas = Replicas()
    other = {"settings": {"width": 8, "noise": 0.5}, "data": "3 recordings"}
    monkeypatch.setattr(
        replicas, "_gather_lines", lambda line: [line, line, json.dumps(other)]
    )
    with pytest.raises(ConfigError) as raised:
        replicas.check_same({"settings": {"width": 4, "noise": 0.5}, "seed": 0})
    assert str(raised.value) == (
        "the workers of TF_CONFIG do not agree: settings.width is 8 on worker 2, 4 on "
        "worker 0; seed is None on worker 2, 0 on worker 0; data is '3 recordings' on "
        "worker 2, None on worker 0"
    )


@pytest.fixture
def shared_folder(small_set, tmp_path):
    """The small set as a child process finds it."""
    tracks, _ = small_set
    (tmp_path / "tracks.json").write_text(json.dumps([asdict(t) for t in tracks]))
    (tmp_path / "settings").write_text("\n".join(SETTINGS))
    return tmp_path


def on_two_devices(folder, *what):
    subprocess.run(
        [sys.executable, ROOT / "tests" / "on_two_devices.py", folder, *what],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=600,
    )


def test_two_devices_mine_as_one(tmp_path, rng):
    given = {
        "works": np.array([0, 0, 1, 1, 0, 2, 1, 2], np.int32),
        "f_t": rng.normal(size=(8, 5)).astype(np.float32),
        "f_c": rng.normal(size=(8, 5)).astype(np.float32),
        "windows": rng.normal(size=(8, 2, 5)).astype(np.float32),
        "kernel": rng.normal(size=(5, 3)).astype(np.float32),
        "maps": rng.normal(2, 3, (4, 3, 5, 6)).astype(np.float32),
        "weights": rng.random((4, 3, 5, 6)).astype(np.float32),
        "finite": np.array([[1.0], [2.0]], np.float32),
        "overflow": np.array([[1.0], [np.inf]], np.float32),
    }
    np.savez(tmp_path / "given.npz", **given)
    on_two_devices(tmp_path, "mine")
    found = np.load(tmp_path / "found.npz")

    def alone(rows, temperature):
        batch = [keras.ops.convert_to_tensor(given[name][rows])
                 for name in ("works", *OUTPUTS)]  # fmt: skip
        model = small_model(given["kernel"], temperature)
        return loss_and_gradients(model, *batch)

    first, second, both = slice(0, 4), slice(4, 8), slice(0, 8)
    for temperature, vector in (
        *((None, "f_t"), (None, "f_c")),
        *((0.1, "f_c"), (0.1, "windows")),
    ):
        position = ("loss", *OUTPUTS).index(vector)
        whole = np.split(np.array(alone(both, temperature)[position]), 2)
        parts = [np.array(alone(rows, temperature)[position]) / 2
                 for rows in (first, second)]  # fmt: skip
        for mining, expected in (("global", whole), ("replica", parts)):
            gradients = found[f"{mining} {temperature} {vector}"]
            np.testing.assert_allclose(gradients, expected, atol=1e-6)
        if (temperature, vector) != (None, "f_c"):
            assert np.abs(np.array(whole) - parts).max() > 1e-3
        value = float(alone(both, temperature)[0])
        assert found[f"global {temperature} loss"].sum() == pytest.approx(value)

    def alone_taught(rows):
        batch = [keras.ops.convert_to_tensor(given[name][rows])
                 for name in ("works", "f_c", "f_t")]  # fmt: skip
        model = small_model(given["kernel"], None, teaching="wholes")
        return [np.array(value) for value in taught(model, *batch)]

    whole = np.split(alone_taught(both)[1], 2)
    parts = [alone_taught(rows)[1] / 2 for rows in (first, second)]
    for mining, expected in (("global", whole), ("replica", parts)):
        gradients = found[f"{mining} taught f_c"]
        np.testing.assert_allclose(gradients, expected, atol=1e-6)
    assert np.abs(np.array(whole) - parts).max() > 1e-3
    value = float(alone_taught(both)[0])
    assert found["global taught loss"].sum() == pytest.approx(value)

    # Half of the maps on each device, all of them in one layer of Keras.
    layer = keras.layers.BatchNormalization()
    layer.build(given["maps"].shape)
    maps, weights = (tf.constant(given[name]) for name in ("maps", "weights"))
    whole = normalised(layer, maps, weights)
    for name, expected in zip(("norm", "norm gradients"), whole, strict=True):
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)
    for name, expected in zip(
        ("mean", "variance"), layer.get_weights()[2:], strict=True
    ):
        np.testing.assert_allclose(found[f"moving {name}"], expected, rtol=1e-5)

    np.testing.assert_array_equal(found["finite"], [[[1.0]], [[2.0]]])
    assert np.isnan(found["overflow"]).all()


def test_two_devices_train_as_one(small_set, shared_folder):
    folder, (tracks, store) = shared_folder, small_set
    on_two_devices(folder)
    train(override(Config(), SETTINGS), tracks, store, folder / "alone", seed=1)
    np.testing.assert_allclose(
        losses(folder / "two devices"), losses(folder / "alone"), rtol=1e-3
    )


@pytest.mark.slow
def test_two_devices_train_in_half_precision(shared_folder):
    on_two_devices(shared_folder, "precision=mixed_float16", "epochs=1")
    assert len(losses(shared_folder / "two devices")) == 1


class Workers:
    """Two processes of the training command on loopback."""

    def __init__(self, *arguments, second=()):
        cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
        self.processes = []
        for index, more in enumerate([(), second]):
            task = {"type": "worker", "index": index}
            config = json.dumps({"cluster": cluster, "task": task})
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "bytecover_tf.train", *arguments, *more],
                    env={**os.environ, "TF_CONFIG": config, "PYTHONPATH": str(ROOT)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def wait(self, timeout=400):
        """Return exit status and standard error of both."""
        errors = [process.communicate(timeout=timeout)[1] for process in self.processes]
        return [process.returncode for process in self.processes], errors


@pytest.fixture
def data(small_set, tmp_path):
    tracks, store = small_set
    lines = ["id,work,path,split"]
    for track in tracks:
        np.save(tmp_path / f"{track.id}.npy", store.features(track.path))
        lines.append(f"{track.id},{track.work},{track.id}.npy,{track.split}")
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(lines))
    return ["--data", "manifest", "--data-root", str(path), "--source-pool", "100"]


def settings(*more):
    return [part for setting in (*SETTINGS, *more) for part in ("--set", setting)]


@pytest.mark.slow
def test_a_host_with_other_settings_is_refused(data, tmp_path):
    run = tmp_path / "run"
    command = [*data, *settings(), "--run-dir", str(run)]
    with Workers(*command, second=["--set", "width=8"]) as workers:
        status, errors = workers.wait()
    assert status == [2, 2]
    for error in errors:
        assert "settings.width is 8 on worker 1, 4 on worker 0" in error
    assert not run.exists()


@pytest.mark.slow
def test_two_hosts_learn_from_a_teacher_s_wholes(data, tmp_path):
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    teacher = tmp_path / "teacher.keras"
    save_model(model, teacher, Frontend(), {})
    run = tmp_path / "run"
    command = [*data, *settings("teaching=wholes"), "--teacher", str(teacher)]
    with Workers(*command, "--run-dir", str(run)) as workers:
        status, errors = workers.wait()
    assert status == [0, 0], errors
    assert len(losses(run)) == 2


@pytest.mark.slow
def test_two_hosts_train_as_one_through_a_crash(data, tmp_path):
    """kill -9 of one host in the second epoch, then --resume of both."""
    run, alone = tmp_path / "run", tmp_path / "alone"
    long = settings("steps_per_epoch=8", "decay=cosine")
    with Workers(*data, *long, "--run-dir", str(run), "--seed", "1") as workers:
        deadline = time.monotonic() + 400
        while not (run / "log.csv").exists():
            assert all(process.poll() is None for process in workers.processes)
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(workers.processes[1].pid, signal.SIGKILL)
        status, errors = workers.wait()
    assert status == [2, -signal.SIGKILL]
    assert "--resume" in errors[0]
    assert len(losses(run)) == 1

    kept = (run / "checkpoint.keras").read_bytes()
    with Workers("--run-dir", str(run), "--resume") as workers:
        status, _ = workers.wait()
    assert status == [0, 0]
    assert (run / "checkpoint.keras").read_bytes() != kept
    assert json.loads((run / "metrics.json").read_text())["epochs"] == 2
    assert not list(run.glob(".*"))

    from bytecover_tf.train import main

    assert main([*data, *long, "--run-dir", str(alone), "--seed", "1"]) == 0
    np.testing.assert_allclose(losses(run), losses(alone), rtol=1e-2)
