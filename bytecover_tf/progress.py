"""Progress of what takes long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def progress_bar(items: Iterable[Any] | None = None, **options: Any) -> Any:
    """Return a progress bar on standard error, silent if that is not a terminal.

    Args:
        items: what to go through; without them, call the bar's `update`.
        **options: further arguments of `tqdm`, such as `total`, `unit` and `desc`.
    """
    from tqdm import tqdm

    return tqdm(items, disable=None, dynamic_ncols=True, **options)
