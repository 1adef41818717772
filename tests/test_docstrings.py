"""The examples in docstrings."""

import doctest
import importlib
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("bytecover_tf", "export")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "examples" not in path.parts and ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name):
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs={"keras": keras}, report=True)
    assert found.attempted
    assert not found.failed
