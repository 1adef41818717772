"""Experiments, one a file; the file's docstring gives its command and cost."""

from __future__ import annotations

import pkgutil
import runpy
from importlib import import_module
from pathlib import Path

from bytecover_tf.errors import ConfigError
from bytecover_tf.training.config import Config


def load_config(name: str) -> Config:
    """Return an experiment of this package, or the one in a Python file.

    Args:
        name: one of `config_names`, or a path that ends in `.py`, which is run.

    Raises:
        ConfigError: there is no such experiment, or its file has no `config`.
    """
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise ConfigError(f"{name}: no such config file")
        config = runpy.run_path(name).get("config")
    elif name in config_names():
        config = import_module(f"bytecover_tf.configs.{name}").config
    else:
        raise ConfigError(
            f"unknown config {name!r}; expected a .py file or one of "
            + ", ".join(config_names())
        )
    if not isinstance(config, Config):
        raise ConfigError(f"{name}: expected a variable `config` of type Config")
    return config


def config_names() -> list[str]:
    """Return the names of the experiments that come with the package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def default_config(data: str) -> str:
    """Return the name of the experiment to run on a data set unless told otherwise."""
    return {"tunes": "quick", "packed": "small"}.get(data, "bytecover")
