import numpy as np
import pytest
import tensorflow as tf

from bytecover_tf.audio.frontend import Frontend
from export import graphs


class Doubling(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 84, None), tf.float32)])
    def network(self, features):
        return {"embedding": 2 * features}


def test_a_disk_that_takes_no_model_is_named(tmp_path):
    (tmp_path / "saved_model").write_text("no folder")
    path = tmp_path / "saved_model" / "1"
    with pytest.raises(OSError, match=r"saved_model/1: cannot be written"):
        graphs.write_saved_model(Doubling(), path, ("features",))


@pytest.mark.parametrize("frames", [1, 2, 3, 30])
def test_a_graph_gives_what_the_model_gives_of_any_length(frames, make_model, rng):
    # One channel in and one frame out, a single time and again.
    model = make_model(pitch_classes=True, width=8)
    network = graphs.Graphs(model, Frontend()).network
    features = rng.random((2, 84, frames)).astype(np.float32)
    f_c = np.asarray(model(features[..., None], training=False)["f_c"])
    expected = f_c / np.linalg.norm(f_c, axis=1, keepdims=True)
    for _ in range(3):
        found = network(tf.constant(features))["embedding"].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)
