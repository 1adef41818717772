import json
import os

import keras
import numpy as np
import pytest
import soundfile

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.files import lock
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover


@pytest.fixture(scope="session")
def read_golden():
    """Read a bundle's golden clip as another language does."""
    return _read_golden


def _read_golden(folder, output):
    """Return the waveform, `features`, `output` and the tolerance, by name."""
    facts = json.loads((folder / "golden.json").read_text())
    waveform, rate = soundfile.read(folder / "clip.wav", dtype="float32")
    assert (waveform.shape, rate) == (tuple(facts["shapes"]["waveform"]), 22050)
    arrays = {
        name: np.fromfile(folder / f"{name}.f32", "<f4").reshape(facts["shapes"][name])
        for name in ("features", output)
    }
    return {**arrays, "waveform": waveform, "tolerance": facts["tolerance"]}


@pytest.fixture(scope="session")
def make_model():
    """Build a small ByteCover whose normalisations are not trivial."""
    return _make_model


def _make_model(**settings):
    keras.utils.set_random_seed(0)
    model = ByteCover(Architecture(**{"blocks": (1, 1, 1, 1), "width": 8, **settings}))
    model.build((None, 84, None, 1))
    rng = np.random.default_rng(0)
    for variable in model.variables:
        name = variable.path.rsplit("/", 1)[-1]
        if name == "moving_variance":
            # The stem's is about that of what it sees, unless it sees salience: from
            # amplitudes, it would else make maps that are all but flat, and a variance
            # over two frames would be that of rounding errors.
            is_small = "stem" in variable.path and model.salience is None
            scale = 0.02 if is_small else 1
            variable.assign(scale * rng.uniform(0.5, 2, variable.shape))
        elif name in ("moving_mean", "beta", "bias"):
            variable.assign(rng.normal(0, 0.2, variable.shape))
        elif name == "gamma":
            variable.assign(rng.uniform(0.6, 1.2, variable.shape))
    return model


@pytest.fixture(scope="session")
def exported(tmp_path_factory, few_cases):
    """A folder with an encoder and its bundle, which all workers of pytest share.

    Whoever changes a file of it takes a copy.
    """
    from export import PRECISIONS
    from export.bundle import export

    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each worker has a folder of its own within that
    folder = base / "exported"
    with lock(base / "exported.lock", wait=True):
        if not (folder / "bundle").exists():
            folder.mkdir(exist_ok=True)
            path = folder / "encoder.keras"
            save_model(_make_model(), path, Frontend(), {"seed": 3})
            export(path, folder / "bundle", precisions=PRECISIONS)
    return folder


@pytest.fixture(scope="session")
def encoder_path(exported):
    """An encoder.keras of a small network with random weights."""
    return exported / "encoder.keras"


@pytest.fixture(scope="session")
def bundle(exported):
    """A bundle with every variant of that encoder."""
    return exported / "bundle"
