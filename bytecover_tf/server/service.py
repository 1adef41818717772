"""All that the routes of a server share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.opening import open_catalogue
from bytecover_tf.matching.decisions import Record, find_record
from bytecover_tf.server.answers import Answers
from bytecover_tf.server.engine import EngineSettings
from bytecover_tf.server.jobs import Gate, Jobs
from bytecover_tf.server.library import Library
from bytecover_tf.server.limits import Limits
from bytecover_tf.server.operation import OperationFigures
from bytecover_tf.server.pool import Pool
from bytecover_tf.server.sources import Folders


@dataclass
class Service:
    """A catalogue, the workers that search it, and what they may take.

    Attributes:
        catalogue: what is asked about.
        pool: does the heavy work.
        limits: on requests.
        folders: from which files may be read by their path.
        token: what a request must bring; empty if nothing.
        is_local: whether this machine alone can ask.
        record: what is decided about works; None for that in the catalogue's folder.
    """

    catalogue: Catalogue
    pool: Pool
    limits: Limits
    folders: Folders
    token: str = ""
    is_local: bool = True
    record: Record | None = None
    library: Library = field(init=False)
    metrics: OperationFigures = field(init=False)
    jobs: Jobs = field(init=False)
    gate: Gate = field(init=False)
    answers: Answers = field(default_factory=Answers)
    peaks: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.library = Library(self.catalogue)
        self.metrics = OperationFigures(self.pool, self.library)
        self.jobs = Jobs(self.limits)
        self.gate = Gate(self.limits.waiting + self.pool.workers)

    @classmethod
    def of(
        cls,
        settings: EngineSettings,
        workers: int,
        limits: Limits,
        folders: Sequence[str | Path] = (),
        token: str = "",
        is_local: bool = True,
    ) -> Service:
        """Open a catalogue for a server; its workers are yet to be started.

        Args:
            settings: of the engine in each worker.
            workers: their number.
            limits: on requests.
            folders: from which files may be read by their path.
            token: what a request must bring; empty if nothing.
            is_local: whether this machine alone can ask.

        Raises:
            CatalogueError: there is no catalogue, or it is damaged.
        """
        pool = Pool(settings, workers, limits.memory_bytes)
        catalogue = open_catalogue(settings.address)
        record = find_record(catalogue, settings.record)
        places = Folders(folders)
        return cls(catalogue, pool, limits, places, token, is_local, record)

    def close(self) -> None:
        """End the workers and release the catalogue."""
        self.pool.close()
        self.catalogue.close()
