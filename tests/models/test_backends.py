"""The same model on another Keras backend."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.stores.note_store import NoteWriter
from bytecover_tf.train import main

pytest.importorskip("jax")


def test_an_encoder_embeds_alike_on_jax(on_jax, tmp_path, rng):
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4, embedding_dim=64))
    model.build((None, 84, None, 1))
    save_model(model, tmp_path / "encoder.keras", Frontend(), {})
    features = [rng.random((84, n)).astype(np.float32) for n in (3, 30, 30, 30)]
    np.savez(tmp_path / "features.npz", *features)
    on_jax(
        "import sys, keras, numpy as np\n"
        "from bytecover_tf import load_encoder\n"
        "assert keras.backend.backend() == 'jax'\n"
        "arrays = np.load(sys.argv[1] + '/features.npz')\n"
        "result = load_encoder(sys.argv[1]).embed_features(arrays.values())\n"
        "np.save(sys.argv[1] + '/result.npy', result)",
        tmp_path,
    )
    expected = load_encoder(tmp_path).embed_features(features)
    np.testing.assert_allclose(np.load(tmp_path / "result.npy"), expected, atol=1e-4)


@pytest.mark.slow
def test_training_runs_and_resumes_on_jax(on_jax, small_set, tmp_path):
    tracks, store = small_set
    rows = ["id,work,path,split"]
    for track in tracks:
        np.save(tmp_path / f"{track.id}.npy", store.features(track.path))
        rows.append(f"{track.id},{track.work},{track.id}.npy,{track.split}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    code = (
        "import json, sys\n"
        "sys.modules['tensorflow'] = None  # as if it were not installed\n"
        "import keras\n"
        "from bytecover_tf.train import main\n"
        "assert keras.backend.backend() == 'jax'\n"
        "for arguments in map(json.loads, sys.argv[1:]):\n"
        "    assert main(arguments) == 0"
    )
    settings = ["blocks=(1,1,1,1)", "width=4", "crop_frames=(16,)", "steps_per_epoch=8",
                "works_per_batch=4", "learning_rate=1e-3", "epochs=2"]  # fmt: skip
    run = tmp_path / "run"
    data = ["--data", "manifest", "--data-root", str(tmp_path / "manifest.csv")]
    overrides = [part for setting in settings for part in ("--set", setting)]
    begin = [*data, "--source-pool", "100", "--run-dir", str(run), *overrides]
    resume = ["--run-dir", str(run), "--resume", "--set", "epochs=4"]
    on_jax(code, json.dumps(begin), json.dumps(resume))
    figures = json.loads((run / "metrics.json").read_text())
    assert figures["epochs"] == 4
    assert "jax" in figures["versions"]
    assert not figures["whole_recordings"]
    log = [line.split(",") for line in (run / "log.csv").read_text().splitlines()]
    losses = [float(row[log[0].index("loss")]) for row in log[1:]]
    assert losses[-1] < losses[0]
    # And on TensorFlow.
    assert main(["--run-dir", str(run), "--resume", "--set", "epochs=5"]) == 0
    figures = json.loads((run / "metrics.json").read_text())
    assert figures["epochs"] == 5
    assert figures["whole_recordings"]
    last = (run / "log.csv").read_text().splitlines()[-1].split(",")
    assert float(last[log[0].index("loss")]) < losses[0]


@pytest.mark.slow
def test_training_with_scores_runs_on_jax(on_jax, small_set, tmp_path):
    tracks, store = small_set
    with NoteWriter(store.path, 84) as writer:
        for track in tracks:
            features = store.features(track.path)
            writer.add(store.entry(track.path), np.stack([features > 0.3, features]))
    (tmp_path / "tracks.json").write_text(json.dumps([asdict(t) for t in tracks]))
    on_jax(
        "import json, sys\n"
        "from pathlib import Path\n"
        "from bytecover_tf.training.config import Config, override\n"
        "from bytecover_tf.data.track import Track\n"
        "from bytecover_tf.stores.feature_store import FeatureStore\n"
        "from bytecover_tf.training.loop import train\n"
        "folder = Path(sys.argv[1])\n"
        "listed = json.loads((folder / 'tracks.json').read_text())\n"
        "tracks = [Track(**track) for track in listed]\n"
        "config = override(Config(), sys.argv[2:])\n"
        "train(config, tracks, FeatureStore(folder / 'store'), folder / 'run')",
        tmp_path,
        *("blocks=(1,1,1,1)", "width=4", "salience=4", "temperature=0.1"),
        *("crop_frames=(16,)", "steps_per_epoch=8", "epochs=3", "works_per_batch=4"),
        *("learning_rate=0.02", "easy_steps=8", "pitch_classes=True"),
    )
    rows = (tmp_path / "run" / "log.csv").read_text().splitlines()
    hearing = rows[0].split(",").index("hearing")
    losses = [float(row.split(",")[hearing]) for row in rows[1:]]
    assert losses[-1] < 0.9 * losses[0]
