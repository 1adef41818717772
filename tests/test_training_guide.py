"""The commands of docs/training.md on SHS100K, with a small set and network."""

import importlib
import json
import re
import shlex
from pathlib import Path

import numpy as np

GUIDE = Path(__file__).parent.parent / "docs" / "training.md"
SMALLER = {
    "bytecover_tf.features": ["--source-pool", "100"],
    "bytecover_tf.train": ["--source-pool", "100"],
    "bytecover_tf.evaluate": [],
    "export": ["--formats", "onnx", "--inputs", "features", "--precision", "float32"],
}
SETTINGS = ["blocks=(1,1,1,1)", "width=4", "works_per_batch=4", "crop_frames=(16,)",
            "steps_per_epoch=2", "epochs=1"]  # fmt: skip


def commands():
    _, text = GUIDE.read_text().split("\n## SHS100K\n")
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S):
        for line in block.splitlines():
            if line.startswith("python -m "):
                _, _, name, *arguments = shlex.split(line)
                yield name, arguments


def shs100k(small_set, folder):
    """The small set in SHS100K's layout."""
    tracks, store = small_set
    (folder / "audio").mkdir(parents=True)
    lists = {"train": [], "validation": [], "test": []}
    listed = []
    for track in tracks:
        work, version = track.id.split("-")
        np.save(folder / "audio" / f"{work}_{version}.npy", store.features(track.path))
        listed.append(f"{work}\t{version}\ttitle\tperformer\t\tTrue")
        lists[track.split].append(f"{work}\t{version}")
    (folder / "list").write_text("\n".join(listed))
    for split, name in [("train", "TRAIN"), ("validation", "VAL"), ("test", "TEST")]:
        (folder / f"SHS100K-{name}").write_text("\n".join(lists[split]))


def test_the_commands_lead_from_recordings_to_an_export(
    small_set, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shs100k(small_set, tmp_path / "SHS100K")
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    for name, arguments in commands():
        if "--config" in arguments:
            arguments += settings
        module = importlib.import_module({"export": "export.__main__"}.get(name, name))
        assert module.main([*arguments, *SMALLER[name]]) == 0, (name, arguments)
    for run in ("shs100k2", "shs100k2-hosts"):
        assert json.loads(Path("runs", run, "metrics.json").read_text())["epochs"] == 1
    figures = json.loads(Path("figures.json").read_text())
    assert 0 <= figures["map"] <= 1
    assert Path("bundle", "encoder_features.onnx").exists()


def test_the_hosts_of_the_guide_are_a_cluster(monkeypatch):
    from bytecover_tf.training.replicas import _cluster

    text = re.search(r"^export TF_CONFIG='(.*)'$", GUIDE.read_text(), re.M).group(1)
    monkeypatch.setenv("TF_CONFIG", text)
    assert _cluster() == {"worker": ["host0:12345", "host1:12345"]}
    assert json.loads(text)["task"] == {"type": "worker", "index": 0}
