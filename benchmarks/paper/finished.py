"""What trained networks found, kept beside the results, so that none is trained twice.

A training of hours may end on another machine than that which writes the table. What a
network found of each query takes some kilobytes, so it is kept as text, one file
`NETWORK-SEED.json` for each training, and its run directory is no longer needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.common.report import conditions
from benchmarks.paper.tables import Collection
from bytecover_tf.files import write_atomically
from bytecover_tf.metrics import QueryScores

# What the tables show, of all that is known of a query.
_SHOWN = ("average_precision", "hits_at_10", "first_rank")
# Of each figure of a query that is kept.
_DIGITS = 4


@dataclass(frozen=True)
class Finished:
    """What a training, with those of the rates tried before it, came to.

    Attributes:
        what: how it was trained and searched; another asks for another training.
        trained: when, and on which machine.
        rates: the loss by the learning rate that was tried.
        course: MAP on the validation works after each epoch.
        minutes: the time that all of them took.
        queries: figures of each query, by collection and name.
    """

    what: str
    trained: str
    rates: dict[str, float]
    course: list[float]
    minutes: float
    queries: dict[str, dict[str, list[float]]]

    def scores(self, collection: Collection) -> QueryScores:
        """Return the scores of a search; of them only what tables show is known."""
        count = len(collection.works)
        scores = collection.search(np.zeros((count, count), np.float32))
        found = self.queries[collection.name]
        return replace(scores, **{name: np.array(found[name]) for name in _SHOWN})

    @staticmethod
    def queries_of(scores: QueryScores) -> dict[str, list[float]]:
        """Return what `queries` keeps of a search."""
        return {
            name: [round(float(one), _DIGITS) for one in getattr(scores, name)]
            for name in _SHOWN
        }


def finished(
    path: Path, what: Sequence[str], train: Callable[[], Finished]
) -> Finished:
    """Return what an earlier call kept of such a training, or train now and keep it.

    Args:
        path: the file that keeps it.
        what: how the network is trained and searched.
        train: does that; its `what` and `trained` are filled in here.
    """
    wanted = "\n".join(what)
    if path.exists():
        found = Finished(**json.loads(path.read_text()))
        if found.what == wanted:
            print(f"{path.stem}: trained before ({found.trained})", flush=True)
            return found
    found = replace(train(), what=wanted, trained=conditions())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(asdict(found)) + "\n")
    return found
