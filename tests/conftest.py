import os
import subprocess
import sys
from pathlib import Path

# Last, so that the package under test is the installed one.
sys.path.append(str(Path(__file__).parents[1]))

import milvus_server
import numpy as np
import pytest
from catalogue_rows import IDENTITY

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogues import open_catalogue
from bytecover_tf.cli.quiet import load_tensorflow_quietly
from bytecover_tf.data.track import Track
from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter

# Before any test imports TensorFlow: no remarks on the machine among the results.
load_tensorflow_quietly()


@pytest.fixture(autouse=True)
def seeded():
    """Draw the same weights for a test, whatever ran before it."""
    # Only now: the package, imported first, has TensorFlow use oneDNN.
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session", autouse=True)
def few_cases():
    """Have exports compared with their model on few and short recordings.

    The transform of all that a real export compares takes half a minute.
    """
    from export import parity

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "BATCHES", (1, 3))
        patch.setattr(parity, "FRAMES", (2, 13))
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def music():
    """Seconds of chords that change, as samples at 22 050 Hz."""

    def make(seconds, seed=0, sample_rate=22050):
        rng = np.random.default_rng(seed)
        t = np.arange(int(0.5 * sample_rate)) / sample_rate
        chords = []
        for _ in range(int(np.ceil(seconds / 0.5))):
            notes = 48 + rng.choice(24, 3, replace=False)
            tones = [np.sin(2 * np.pi * 440 * 2 ** ((n - 69) / 12) * t) for n in notes]
            chords.append(np.exp(-2 * t) * np.sum(tones, axis=0) / 4)
        return np.concatenate(chords)[: int(seconds * sample_rate)].astype(np.float32)

    return make


@pytest.fixture
def small_set(tmp_path):
    """A store and tracks: 12 works, each a pattern of its own, 4 noisy versions."""
    rng = np.random.default_rng(1)
    tracks = []
    with FeatureStoreWriter(tmp_path / "store", Frontend()) as writer:
        for work in range(12):
            pattern = rng.random((84, 24)) ** 6
            for version in range(4):
                name = f"/music/{work}/{version}"
                features = pattern * rng.uniform(0.5, 1, pattern.shape)
                features = features[:, : 24 - version]
                writer.add(name, f"{work:02}{version:010}", features / features.max())
                split = "train" if work < 8 else "validation" if work < 10 else "test"
                tracks.append(Track(f"{work}-{version}", f"work {work}", name, split))
    return tracks, FeatureStore(tmp_path / "store")


@pytest.fixture
def on_jax():
    """Run Python code on Keras's JAX backend; return what it prints."""
    # Most of the time goes into compiling initialisers, a minute more if optimised.
    quick = "--xla_backend_optimization_level=0"
    backend = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": quick}

    def run(code, *arguments):
        result = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env={**os.environ, **backend},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture(
    params=["lance", pytest.param("milvus", marks=pytest.mark.milvus)],
)
def address(request, tmp_path):
    """Where a catalogue of each kind can be made."""
    if request.param == "lance":
        pytest.importorskip("lancedb")
        return str(tmp_path / "catalogue")
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus")
    return milvus_server.new_address()


@pytest.fixture
def catalogue(address):
    """A catalogue without recordings."""
    with open_catalogue(address, IDENTITY, create=True) as made:
        yield made


@pytest.fixture
def toy_teacher(tmp_path, monkeypatch):
    """Have a network whose answers are known found as Basic Pitch; return its file."""
    import toy_teacher

    package = tmp_path / "site" / "basic_pitch"
    path = package / "saved_models" / "icassp_2022" / "nmp.onnx"
    toy_teacher.write(path)
    (package / "__init__.py").touch()
    # New processes take over the path too.
    monkeypatch.syspath_prepend(package.parent)
    return path


@pytest.fixture
def estimates(monkeypatch):
    """What grows by one whenever the means of a transform are estimated."""
    from bytecover_tf.audio import streaming

    calls = []
    original = streaming.estimated_means
    monkeypatch.setattr(
        streaming,
        "estimated_means",
        lambda *arguments: calls.append(1) or original(*arguments),
    )
    return calls
