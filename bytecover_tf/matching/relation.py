"""What kind of version a match is: the same recording, its performance, or another one.

Another master, edit or copy of a performance keeps key and tempo, and in each frame the
same notes sound. So the frames of the two along a straight line are far more alike
than those of two performances are, whose players never keep the same time. How alike
they are gives the probability, by a logistic fit on recordings that were made anew by
`synth.rerecord` and on versions; `benchmarks.accuracy.relation` makes it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np

from bytecover_tf.matching.alignment import Alignment, similarities_along

SAME_RECORDING = "same recording"
SAME_PERFORMANCE = "same performance"
SAME_ARTIST = "same artist"
VERSION = "version"
KINDS = (SAME_RECORDING, SAME_PERFORMANCE, SAME_ARTIST, VERSION)
"""The kinds of relation, from the closest on.

The same file content; another master, edit or copy of one performance; a live or new
recording by the artist whom the tags of both name; any other version.
"""

FILE_NAME = "relation.json"

# From the ends of an alignment, how far its straight line may lie, in frames.
_NEAR = 4
# Players who keep the same time for half of a match lose it in the other half.
_SHARE = 0.25
# A match says so much of the performance from this length on, in frames: five seconds.
_SHORTEST = 11


@dataclass(frozen=True)
class Relation:
    """What a match is, if it is one.

    Attributes:
        kind: one of `KINDS`.
        probability: that a version is of this kind; 1 for the same content.
    """

    kind: str
    probability: float


def relation(
    straightness: float,
    is_same_content: bool = False,
    artist: str = "",
    other_artist: str = "",
) -> Relation:
    """Return the most likely kind of a match.

    Args:
        straightness: of the match, by `straightness`.
        is_same_content: whether the two are one file's content.
        artist: as the tags of one name it; empty if they do not.
        other_artist: as those of the other do.
    """
    if is_same_content:
        return Relation(SAME_RECORDING, 1.0)
    same = probability_of_same(straightness)
    if same >= 0.5:
        return Relation(SAME_PERFORMANCE, same)
    is_artist = artist.strip() and _plain(artist) == _plain(other_artist)
    return Relation(SAME_ARTIST if is_artist else VERSION, 1 - same)


def straightness(
    query: np.ndarray, reference: np.ndarray, alignment: Alignment
) -> float:
    """Return how alike two recordings are at the same tempo and key where they match.

    Args:
        query: uint8 chroma (12 * parts, n).
        reference: uint8 chroma (12 * parts, m).
        alignment: of the two.

    Returns:
        The similarity, from -1 to 1, that three quarters of the frames that match
        exceed along the best straight line at one tempo; -1 if they match in another
        key, or over less than five seconds.
    """
    start, end = alignment.query_start, alignment.query_end
    if alignment.transposition or end - start < _SHORTEST:
        return -1.0
    low, high = sorted(
        (alignment.reference_start - start, alignment.reference_end - end)
    )
    first = max(start + low - _NEAR, 0)
    lags = range(low - _NEAR, high + _NEAR + 1)
    lines = similarities_along(
        query[:, start:end],
        reference[:, first : max(end + high + _NEAR, first)],
        [lag + start - first for lag in lags],
    )
    best = -1.0
    for line in lines:
        if len(line) >= max(_SHORTEST, (end - start) / 2):
            best = max(best, float(np.quantile(line, _SHARE)))
    return best


def probability_of_same(straightness: float) -> float:
    """Return how likely a version is the same performance.

    Args:
        straightness: by the function of that name; what is -1 cannot be one.
    """
    if straightness <= -1:
        return 0.0
    bias, weight = fitted()
    return float(1 / (1 + math.exp(-(bias + weight * straightness))))


@lru_cache(maxsize=1)
def fitted() -> tuple[float, float]:
    """Return bias and weight of the fit that comes with the package."""
    file = resources.files("bytecover_tf.matching") / FILE_NAME
    values = json.loads(file.read_text())
    return values["bias"], values["weight"]


def _plain(name: str) -> str:
    name = name.casefold().strip()
    # There are artists without a letter.
    return "".join(filter(str.isalnum, name)) or name
