import pytest
import tensorflow as tf

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
