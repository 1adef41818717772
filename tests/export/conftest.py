import keras
import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover


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
def encoder_path(tmp_path_factory):
    """An encoder.keras of a small network with random weights."""
    path = tmp_path_factory.mktemp("encoder") / "encoder.keras"
    save_model(_make_model(), path, Frontend(), {"seed": 3})
    return path


@pytest.fixture(scope="session")
def bundle(encoder_path, tmp_path_factory):
    """A bundle with every variant of that encoder."""
    from export import PRECISIONS
    from export.bundle import export

    out = tmp_path_factory.mktemp("export") / "bundle"
    export(encoder_path, out, precisions=PRECISIONS)
    return out
