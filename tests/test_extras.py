"""What a command says where packages are missing."""

import sys

import pytest

from bytecover_tf.errors import ConfigError
from bytecover_tf.extras import require_training


@pytest.mark.parametrize(
    ("backend", "missing", "message"),
    [
        ("", "tensorflow", r"needs tensorflow; pip install 'bytecover_tf\[train\]'"),
        ("tensorflow", "keras", r"needs keras; pip install 'bytecover_tf\[train\]'"),
        ("jax", "jax", r"needs jax; pip install 'bytecover_tf\[jax\]'"),
    ],
)
def test_training_needs_the_backend_that_was_chosen(
    monkeypatch, backend, missing, message
):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=message):
        require_training()


def test_jax_needs_no_tensorflow(monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    require_training("scipy")
