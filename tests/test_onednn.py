import subprocess
import sys

import pytest

# On a processor that TensorFlow leaves it off for by itself, only the first holds if
# the package asks for it.
LOAD = """
import bytecover_tf
import tensorflow
from tensorflow.python.util import _pywrap_util_port
print(_pywrap_util_port.IsMklEnabled())
"""


@pytest.mark.parametrize(("asked", "used"), [(None, "True"), ("0", "False")])
def test_onednn_is_used_unless_declined(asked, used, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if asked is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", asked)
    result = subprocess.run(
        [sys.executable, "-c", LOAD], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == used
