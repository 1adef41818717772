"""Encoders that come with the package.

Each is a folder of `weights/`: a bundle of `python -m export` with the `.keras` file
it was made of, to train on from, and a card that says what it is. `SHA256SUMS` has
their checksums.
"""

from __future__ import annotations

from pathlib import Path

from bytecover_tf.errors import EncoderError
from bytecover_tf.extraction import content_hash

WEIGHTS = Path(__file__).with_name("weights")
SUMS = "SHA256SUMS"
DEFAULT = "bytecover-small"


def pretrained_names() -> list[str]:
    """Return the names that `load_encoder` knows without a path."""
    return sorted(path.name for path in WEIGHTS.glob("bytecover-*"))


def locate(path: str | Path) -> Path:
    """Return where an encoder lies.

    Args:
        path: a name of `pretrained_names`, or a path, which is returned as it is. A
            file or folder of that name in the current folder comes first.

    Raises:
        EncoderError: a file that came with the package is missing or damaged.
    """
    name = str(path)
    if Path(path).exists() or name not in pretrained_names():
        return Path(path)
    for line in (WEIGHTS / SUMS).read_text().splitlines():
        expected, file = line.split("  ", 1)
        if file.startswith(f"{name}/"):
            _check(WEIGHTS / file, expected)
    return WEIGHTS / name


def _check(path: Path, expected: str) -> None:
    if not path.is_file() or content_hash(path) != expected:
        raise EncoderError(
            f"{path}: missing or damaged (its SHA-256 should be {expected}); install "
            "the package again"
        )
