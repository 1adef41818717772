"""Loads TensorFlow without its messages about the processor and a missing GPU.

Its libraries write some of them to standard error while they are loaded, before any of
TensorFlow's settings takes effect. So standard error is kept aside meanwhile. If
loading fails, what was written there is shown after all.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def load_tensorflow_quietly() -> None:
    """Make TensorFlow load quietly, whenever it is first imported.

    To see its messages, set `TF_CPP_MIN_LOG_LEVEL` to less than 3 beforehand.
    """
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if level == "3" and not any(isinstance(item, _Finder) for item in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Gives TensorFlow's package a quiet loader."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        with _aside():
            self._loader.exec_module(module)


@contextmanager
def _aside() -> Iterator[None]:
    """Keep what is written to standard error, by whatever language, from being seen."""
    if sys.stderr is None:  # closed; there is nothing to be kept
        yield
        return
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(shown, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
