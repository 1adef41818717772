import numpy as np
import pytest

from bytecover_tf.models.ensemble import Ensemble
from export.inference import inference_network


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"ibn": False},
        {"pooling": "average"},
        {"bnneck": False},
        {"embedding_dim": 16},
        {"embedding_dim": 16, "bnneck": False},
        {"input_power": 0.5},
        {"salience": 3, "input_power": 0.5},
        {"pitch_classes": True},
        {"salience": 3, "pitch_classes": True},
        {"registers": 3, "pitch_classes": True},
        {"blocks": (2, 1, 2, 1), "width": 6},
        {"network": "cqtnet", "width": 2, "salience": 2},
        {"network": "move", "width": 4, "embedding_dim": 16, "bnneck": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(1, 84, 1), (3, 84, 47)])
def test_folding_changes_nothing(arguments, shape, make_model, rng):
    model = make_model(**arguments)
    features = rng.random(shape).astype(np.float32)
    f_c = np.asarray(model(features[..., None], training=False)["f_c"])
    expected = f_c / np.linalg.norm(f_c, axis=1, keepdims=True)
    found = np.asarray(inference_network(model)(features))
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_an_ensemble_folds_member_by_member(make_model, rng):
    members = [make_model(), make_model(pitch_classes=True, embedding_dim=16)]
    model = Ensemble(members, [2.0, 0.5])
    features = rng.random((3, 84, 30)).astype(np.float32)
    f_c = np.asarray(model(features[..., None])["f_c"])
    expected = f_c / np.linalg.norm(f_c, axis=1, keepdims=True)
    found = np.asarray(inference_network(model)(features))
    np.testing.assert_allclose(found, expected, atol=2e-6)
