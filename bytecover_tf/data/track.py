"""One recording of a data set."""

from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "validation", "test"]
Role = Literal["both", "query", "reference"]


@dataclass(frozen=True)
class Track:
    """A recording, the work it performs and its part in the experiment.

    Attributes:
        id: unique within the data set.
        work: label of the composition; tracks with equal labels are versions.
        path: the audio file, or a `.npy` file with a precomputed |CQT|
            of shape (bins, frames).
        split: `train`, `validation` or `test`.
        role: in retrieval, whether the track asks (`query`), is searched
            (`reference`) or does `both`. A noise work is a lone `reference`.
    """

    id: str
    work: str
    path: str
    split: Split = "test"
    role: Role = "both"
