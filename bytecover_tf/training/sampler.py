"""Which recordings make up a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bytecover_tf.errors import ConfigError


class PKSampler:
    """Draws batches of P works with K versions each.

    A batch depends only on the seed and its number. So an interrupted training
    continues with the same batches, and several readers make the same ones.

    Args:
        works: integer label of each recording.
        works_per_batch: P, all different within a batch.
        versions_per_work: K; a work with fewer versions has some repeated, as
            evenly as possible, and the reader crops each anew.
        seed: seed of all draws.
        weighting: `work` visits every work equally often, in passes of a new
            order each; `size` draws works in proportion to their recordings.

    Raises:
        ConfigError: fewer works than P, or an argument below 1.
    """

    def __init__(
        self,
        works: Sequence[int] | np.ndarray,
        works_per_batch: int = 8,
        versions_per_work: int = 4,
        seed: int = 0,
        weighting: Literal["work", "size"] = "work",
    ) -> None:
        if weighting not in ("work", "size"):
            raise ConfigError(f"weighting must be 'work' or 'size', not {weighting!r}")
        if works_per_batch < 1 or versions_per_work < 1:
            raise ConfigError(
                "works_per_batch and versions_per_work must be at least 1, not "
                f"{works_per_batch} and {versions_per_work}"
            )
        self._works = np.asarray(works)
        labels, starts = np.unique(np.sort(self._works), return_index=True)
        if len(labels) < works_per_batch:
            raise ConfigError(
                f"a batch takes {works_per_batch} works, but there are only "
                f"{len(labels)} to train on; take fewer with --set works_per_batch="
                f"{len(labels)}"
            )
        by_work = np.argsort(self._works, kind="stable")
        self._versions = dict(
            zip(labels.tolist(), np.split(by_work, starts[1:]), strict=True)
        )
        self._labels = labels
        self._p = works_per_batch
        self._k = versions_per_work
        self._seed = seed
        self._weighting = weighting
        self._pass: tuple[int, np.ndarray] | None = None

    @property
    def batches_per_pass(self) -> int:
        """Number of batches that take every work once; a remainder is dropped."""
        return len(self._labels) // self._p

    @property
    def batch_size(self) -> int:
        """P * K."""
        return self._p * self._k

    def share(self, replica: int, replicas: int) -> slice:
        """Return the rows of every batch that one of several replicas takes.

        Shares hold whole works, and together they are the batch.

        Args:
            replica: counted from 0.
            replicas: how many there are.

        Raises:
            ConfigError: P cannot be divided among them.
        """
        if self._p % replicas:
            raise ConfigError(
                f"works_per_batch is {self._p}, which {replicas} replicas cannot "
                f"share; expected a multiple of {replicas}"
            )
        rows = self.batch_size // replicas
        return slice(replica * rows, (replica + 1) * rows)

    def batch(self, number: int) -> np.ndarray:
        """Return the recordings of one batch.

        Args:
            number: number of the batch, counted from 0 over the whole training.

        Returns:
            (P * K,) positions in `works`, versions of a work side by side.
        """
        rng = np.random.default_rng([self._seed, 1, number])
        works = (
            self._works_in_turn(number)
            if self._weighting == "work"
            else self._works_by_size(rng)
        )
        return np.concatenate([self._draw_versions(work, rng) for work in works])

    def _works_in_turn(self, number: int) -> np.ndarray:
        turn, position = divmod(number, self.batches_per_pass)
        order = self._order(turn)
        return order[position * self._p : (position + 1) * self._p]

    def _order(self, turn: int) -> np.ndarray:
        # A single assignment, because several threads may read batches at once.
        kept = self._pass
        if kept is None or kept[0] != turn:
            rng = np.random.default_rng([self._seed, 0, turn])
            kept = (turn, rng.permutation(self._labels))
            self._pass = kept
        return kept[1]

    def _works_by_size(self, rng: np.random.Generator) -> list[int]:
        drawn: dict[int, None] = {}
        while len(drawn) < self._p:
            drawn[int(self._works[rng.integers(len(self._works))])] = None
        return list(drawn)

    def _draw_versions(self, work: int, rng: np.random.Generator) -> np.ndarray:
        versions = self._versions[int(work)]
        rounds = -(-self._k // len(versions))
        return np.concatenate([rng.permutation(versions) for _ in range(rounds)])[
            : self._k
        ]
