import os
import subprocess
import sys

LOAD = """
import bytecover_tf
import tensorflow
from tensorflow.python.util import _pywrap_util_port
print(_pywrap_util_port.IsMklEnabled())
"""
DECLINED = "import bytecover_tf, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"


def printed(code, **environment):
    rest = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env={**rest, **environment}
    ).stdout.strip()


def test_tensorflow_uses_onednn():
    # On a processor with AVX-512 it would by itself.
    assert printed(LOAD) == "True"


def test_who_declines_it_is_heeded():
    assert printed(DECLINED, TF_ENABLE_ONEDNN_OPTS="0") == "0"
