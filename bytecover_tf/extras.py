"""Parts of the package that are installed only when asked for."""

from __future__ import annotations

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
