"""What was heard in the latest queries, from which pictures can be drawn."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

_MOST_BYTES = 64 * 2**20


class Answers:
    """Keeps the chroma of the latest queries, within a bound on memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Sequence[np.ndarray]] = OrderedDict()
        self._change = threading.Lock()

    def keep(self, chroma: Sequence[np.ndarray]) -> str:
        """Keep the chroma of an answer; return the name to ask for it."""
        name = secrets.token_hex(12)
        with self._change:
            self._kept[name] = chroma
            while len(self._kept) > 1 and self._bytes > _MOST_BYTES:
                self._kept.popitem(last=False)
        return name

    def get(self, name: str) -> Sequence[np.ndarray] | None:
        """Return what was kept, if it still is."""
        with self._change:
            return self._kept.get(name)

    @property
    def _bytes(self) -> int:
        return sum(one.nbytes for chroma in self._kept.values() for one in chroma)
