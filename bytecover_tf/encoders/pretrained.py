"""Encoders that come with the package.

Each is a folder of `weights/`: a bundle of `python -m export`, the `.keras` file that
it was made from, to continue training, and a card that says what it is. The `.keras`
file leaves its kernels to the bundle (`shared_kernels`). `SHA256SUMS` has their
checksums.
"""

from __future__ import annotations

import os
from pathlib import Path

from bytecover_tf.errors import EncoderError
from bytecover_tf.files import check_listed

WEIGHTS = Path(__file__).parents[1] / "weights"
DEFAULT = "bytecover-small"
# The default for music libraries; its extra time is small beside decoding.
FINDS_MOST = "bytecover-base"


def pretrained_names() -> list[str]:
    """Return the names that `load_encoder` knows without a path."""
    return sorted(path.name for path in WEIGHTS.glob("bytecover-*"))


def locate(path: str | Path) -> Path:
    """Return where an encoder lies.

    Args:
        path: a name of `pretrained_names`, or a path, which is returned as it is.
            The name means the encoder of the package even if a file or folder has the
            same name; write `./bytecover-small` for that.

    Raises:
        EncoderError: a file that came with the package is missing or damaged.
    """
    if not is_pretrained_name(path):
        return Path(path)
    check_listed(WEIGHTS, f"{path}/", EncoderError)
    return WEIGHTS / path


def lasting(path: str | Path) -> str:
    """Return a name as it is, and a path in a form that is valid in any folder."""
    return str(path) if is_pretrained_name(path) else os.path.abspath(path)


def is_pretrained_name(path: str | Path) -> bool:
    """Tell whether this is a name, and not the path of a file or folder."""
    return str(path) in pretrained_names()
