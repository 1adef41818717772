"""Parts of the package that are installed only when asked for."""

from __future__ import annotations

import os
from importlib.util import find_spec

from bytecover_tf.errors import ConfigError


def require_extra(extra: str, *packages: str) -> None:
    """Make sure that packages of an extra are installed.

    Raises:
        ConfigError: some are not; it names them and the extra.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ConfigError(
            f"needs {' and '.join(missing)}; pip install 'bytecover_tf[{extra}]'"
        )


def require_training(*packages: str) -> None:
    """Make sure that Keras, its backend and further packages are installed.

    Raises:
        ConfigError: some are not; it names them and the extra that brings them.
    """
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    extra = "jax" if backend == "jax" else "train"
    require_extra(extra, backend, "keras", "librosa", *packages)
