import os
import subprocess
import sys

import pytest

DECLINED = "import bytecover_tf, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"


@pytest.mark.skipif(
    os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0", reason="declined for these tests"
)
def test_tensorflow_uses_onednn():
    # All tests import TensorFlow after the package, as users do. On a processor with
    # AVX-512 it would use oneDNN by itself.
    from tensorflow.python.util import _pywrap_util_port

    assert _pywrap_util_port.IsMklEnabled()


def test_who_declines_it_is_heeded():
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    command = [sys.executable, "-c", DECLINED]
    printed = subprocess.check_output(command, env=environment, text=True)
    assert printed.strip() == "0"
