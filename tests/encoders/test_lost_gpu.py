"""What is said where a GPU lies idle for want of what would use it."""

import warnings
from importlib.metadata import PackageNotFoundError

import onnxruntime
import pytest

from bytecover_tf.encoders import runtimes
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.pretrained import DEFAULT
from bytecover_tf.errors import EncoderError

ADVICE = "pip install --force-reinstall --no-deps onnxruntime-gpu"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Sets whether there is a GPU, and which packages pip knows."""

    def is_installed(name):
        if name != "onnxruntime-gpu":
            raise PackageNotFoundError(name)

    def is_not(name):
        raise PackageNotFoundError(name)

    def make(gpu, package, providers=("CPUExecutionProvider",)):
        monkeypatch.setattr(runtimes, "NVIDIA", tmp_path if gpu else tmp_path / "none")
        known = is_installed if package else is_not
        monkeypatch.setattr(runtimes, "distribution", known)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)

    return make


def test_who_has_a_gpu_is_warned(machine):
    machine(gpu=True, package=True)
    with pytest.warns(UserWarning, match=ADVICE):
        load_encoder(DEFAULT)


@pytest.mark.parametrize(("gpu", "package"), [(False, True), (True, False)])
def test_nobody_else_is_warned(machine, gpu, package):
    machine(gpu, package)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_encoder(DEFAULT)


@pytest.mark.parametrize("package", [True, False])
def test_who_asks_for_cuda_is_told_what_is_in_the_way(machine, package):
    machine(gpu=False, package=package)
    with pytest.raises(
        EncoderError, match="cannot use CUDAExecutionProvider"
    ) as raised:
        load_encoder(DEFAULT, providers=["CUDAExecutionProvider"])
    assert (ADVICE in str(raised.value)) == package


BOTH = ("CUDAExecutionProvider", "CPUExecutionProvider")


def test_who_lacks_the_libraries_of_cuda_is_warned(machine):
    machine(gpu=True, package=True, providers=BOTH)
    with pytest.warns(UserWarning, match=r"run on the CPU: CUDA's .*\[cuda,cudnn\]"):
        load_encoder(DEFAULT)
    with pytest.raises(EncoderError, match=r"\[cuda,cudnn\]"):
        load_encoder(DEFAULT, providers=["CUDAExecutionProvider"])
