import subprocess
import sys

import pytest

FAKE = """
import os
os.write(2, b"remark of a library\\n")
{then}
"""
LOAD = """
from bytecover_tf import cli

def main(arguments):
    import tensorflow
    print(type(tensorflow.__spec__.loader).__name__)
    import os
    os.write(2, b"said later\\n")
    return 0

cli.run(main)
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that loads a made-up TensorFlow in a command."""

    def run(then="", level=None):
        (tmp_path / "tensorflow.py").write_text(FAKE.format(then=then))
        monkeypatch.syspath_prepend(tmp_path)
        return loaded({"PYTHONPATH": str(tmp_path)}, level)

    def loaded(more, level):
        with monkeypatch.context() as patch:
            patch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
            for name, value in more.items():
                patch.setenv(name, value, prepend=":")
            if level is not None:
                patch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
            return subprocess.run(
                [sys.executable, "-c", LOAD], capture_output=True, text=True
            )

    run.real = lambda: loaded({}, None)
    return run


def test_remarks_are_not_shown(load):
    result = load()
    assert (result.returncode, result.stderr) == (0, "said later\n")
    assert result.stdout == "SourceFileLoader\n"


def test_they_are_shown_if_asked_for(load):
    assert load(level="0").stderr == "remark of a library\nsaid later\n"


def test_they_are_shown_if_loading_fails(load):
    result = load("raise ImportError('no such processor')")
    assert result.returncode
    assert result.stderr.startswith("remark of a library\nTraceback")
    assert "no such processor" in result.stderr


def test_tensorflow_itself_is_quiet(load):
    assert load.real().stderr == "said later\n"
