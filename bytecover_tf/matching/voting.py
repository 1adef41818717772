"""Which works the windows of a recording speak for.

Neighbouring windows vote: of all ways to divide the recording among works and the
unknown, the one is taken whose windows speak most for it, where each change of work
costs something (Viterbi, "Error bounds for convolutional codes", 1967).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bytecover_tf.matching.identification import Match

# Chosen on sets made of music of Debian's games, see benchmarks/accuracy/setlist.py.
# A window speaks for a work as far as its probability is above this one.
_EVEN = 0.25
# The most that a window can say for or against a work, and what a change of work costs;
# log-odds.
MOST = 3.0
_CHANGE = 2.0


@dataclass(frozen=True)
class Vote:
    """What a window speaks for.

    Attributes:
        first: its first frame of chroma in the recording.
        end: the frame after its last.
        matches: the most probable first, with places inside the window.
    """

    first: int
    end: int
    matches: Sequence[Match]


@dataclass(frozen=True)
class Run:
    """Neighbouring windows that speak for a work.

    Attributes:
        work: its label.
        first: first frame of chroma of the first window.
        end: the frame after the last of the last.
        matches: the best with this work in each window that has one.
    """

    work: str
    first: int
    end: int
    matches: Sequence[Match]

    @property
    def best(self) -> Match:
        """A match with the recording that speaks most for the work."""
        total: dict[str, float] = {}
        for match in self.matches:
            name = match.recording.id
            total[name] = total.get(name, 0) + match.probability
        return max(
            self.matches, key=lambda one: (total[one.recording.id], one.similarity)
        )


def runs(votes: Sequence[Vote]) -> list[Run]:
    """Divide a recording among works by what its windows speak for.

    Args:
        votes: of consecutive windows.

    Returns:
        The works in order; what lies between is unknown.
    """
    if not votes:
        return []
    # No other work is part of the likeliest path, and of these there are few, however
    # large the library.
    works = sorted(
        {
            match.recording.work
            for vote in votes
            for match in vote.matches
            if match.probability > _EVEN
        }
    )
    number = {work: index for index, work in enumerate(works)}
    evidence = np.full((len(votes), len(works) + 1), -MOST)
    evidence[:, -1] = 0  # the unknown
    best: list[dict[str, Match]] = []
    for row, vote in zip(evidence, votes, strict=True):
        of_work: dict[str, Match] = {}
        for match in vote.matches:
            if match.recording.work in number:
                of_work.setdefault(match.recording.work, match)
        for work, match in of_work.items():
            row[number[work]] = evidence_of(match.probability)
        best.append(of_work)
    path = likeliest(evidence, _CHANGE)
    found = []
    start = 0
    for end in range(1, len(path) + 1):
        if end < len(path) and path[end] == path[start]:
            continue
        if path[start] < len(works):
            work = works[path[start]]
            matches = [best[i][work] for i in range(start, end) if work in best[i]]
            found.append(Run(work, votes[start].first, votes[end - 1].end, matches))
        start = end
    return found


def evidence_of(probability: float) -> float:
    """Return how far a window speaks for a work with this probability, in log-odds."""
    odds = _log_odds(probability) - _log_odds(_EVEN)
    return min(max(odds, -MOST), MOST)


def likeliest(evidence: np.ndarray, change: float) -> list[int]:
    """Return the state of each step: the path of most evidence less what changes cost.

    Args:
        evidence: (steps, states).
        change: cost of a change of state.
    """
    total = evidence[0]
    came = []
    for row in evidence[1:]:
        best = int(total.argmax())
        stays = total >= total[best] - change
        came.append(np.where(stays, np.arange(len(total)), best))
        total = np.where(stays, total, total[best] - change) + row
    path = [int(total.argmax())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    return path[::-1]


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return float(np.log(bounded / (1 - bounded)))
