"""Changes to the tags of files on standard output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bytecover_tf.cli.status import status_of
from bytecover_tf.terminal import show, warn

if TYPE_CHECKING:
    from bytecover_tf.catalogues.tag_writing import TagChange


def print_change(change: TagChange) -> None:
    """Print what is changed in a file."""
    show(change.path)
    for field, after in change.after.items():
        before = change.before[field]
        if list(after) != list(before):
            was = f"{'; '.join(before)!r} -> " if before else ""
            show(f"  {field}: {was}{'; '.join(after)!r}")


def print_end(told: str, count: int, failed: Mapping[str, str]) -> int:
    """Print what was done and what failed; return the exit status.

    Args:
        told: what was done.
        count: number of files for which it was.
        failed: reason by path, for others as a rule.
    """
    for reason in failed.values():
        warn(f"failed: {reason}")
    show(told)
    return status_of(len(failed), count)
