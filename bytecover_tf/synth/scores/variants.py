"""Which scores are the same tune, judged by title and melody.

Melodies are compared by the n-grams of their intervals, modulo the octave and
without repeated notes, so that neither key nor octave nor rhythm matters.
"""

import itertools
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from bytecover_tf.synth.scores.note import Note
from bytecover_tf.synth.scores.score import Score

NGRAM = 6
# With equal titles, scores from this similarity on are versions of one tune.
SAME_TITLE = 0.2
# From here on, scores are versions of one tune whatever their titles.
SAME_TUNE = 0.5
# From here on, two works may be one tune, so a data set cannot have both.
DOUBTFUL = 0.15
# Melodies with fewer distinct n-grams resemble others by chance.
FEWEST_NGRAMS = 30
# Beyond this, the second score is a copy of the first and adds nothing.
COPY = 0.95

GENRES = r"\b(jig|reel|hornpipe|strathspey|clog|march|air|song|walk around|fling)\b"


def melody_ngrams(melody: Sequence[Note], size: int = NGRAM) -> frozenset[tuple]:
    """All runs of `size` intervals in a melody.

    Args:
        melody: notes in order.
        size: intervals per run.

    Returns:
        Tuples of intervals in semitones modulo 12, repeated notes skipped.
    """
    steps = [
        (b.pitch - a.pitch) % 12
        for a, b in itertools.pairwise(melody)
        if a.pitch != b.pitch
    ]
    return frozenset(tuple(steps[i : i + size]) for i in range(len(steps) - size + 1))


def similar_pairs(
    ngrams: Sequence[frozenset[tuple]], threshold: float
) -> dict[tuple[int, int], float]:
    """Pairs that share many n-grams.

    The weight of an n-gram is the logarithm of its inverse frequency among the scores,
    so scale runs, which every second tune has, count little.

    Args:
        ngrams: one set per score.
        threshold: least similarity to be listed, above 0.

    Returns:
        {(i, j): similarity} with i < j; similarity is the weight of the shared
        n-grams over that of the smaller set.
    """
    holders: dict[tuple, list[int]] = defaultdict(list)
    for i, grams in enumerate(ngrams):
        for gram in grams:
            holders[gram].append(i)
    weight = np.zeros(len(ngrams))
    shared: dict[tuple[int, int], float] = defaultdict(float)
    for gram in sorted(holders):
        owners = holders[gram]
        rarity = math.log(len(ngrams) / len(owners))
        weight[owners] += rarity
        for pair in itertools.combinations(owners, 2):
            shared[pair] += rarity
    similarity = {
        (i, j): value / max(min(weight[i], weight[j]), 1e-9)
        for (i, j), value in shared.items()
    }
    return {pair: value for pair, value in similarity.items() if value >= threshold}


def plain_title(title: str) -> str:
    """Reduce a title to plain letters, without its article and genre."""
    text = unicodedata.normalize("NFKD", title.lower().split(" -- ")[0])
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(r"['\u2019`.]", "", text)
    text = re.sub(r"[^a-z0-9 ]", " ", text)
    text = re.sub(GENRES, " ", re.sub(r"\b(the|a|an)\b", " ", text))
    return " ".join(text.split())


def group_works(scores: Sequence[Score], doubtful: float = DOUBTFUL) -> list[list[int]]:
    """Gather scores into works.

    Scores belong together if their melodies are very similar, or if their titles
    agree and their melodies are similar. Copies are dropped, and of two works
    that might be one, by melody or by title, the later is dropped whole. So are
    scores whose melody is too short or too repetitive to be told from others.

    Args:
        scores: scores in order of preference.
        doubtful: similarity from which two works might be one.

    Returns:
        Works as indices into `scores`, in order of their first score.
    """
    ngrams = [melody_ngrams(score.melody) for score in scores]
    pairs = similar_pairs(ngrams, min(doubtful, SAME_TITLE))
    titles = [plain_title(score.title) for score in scores]
    parent = list(range(len(scores)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for (i, j), similarity in pairs.items():
        enough = min(len(ngrams[i]), len(ngrams[j])) >= FEWEST_NGRAMS
        same_title = titles[i] == titles[j] and similarity >= SAME_TITLE
        if enough and (same_title or similarity >= SAME_TUNE):
            low, high = sorted((root(i), root(j)))
            parent[high] = low
    roots = [root(i) for i in range(len(scores))]

    rivals: dict[int, set[int]] = defaultdict(set)
    alike = (pair for pair, value in pairs.items() if value >= doubtful)
    for i, j in itertools.chain(alike, _equal_pairs(titles)):
        if roots[i] != roots[j]:
            rivals[roots[i]].add(roots[j])
            rivals[roots[j]].add(roots[i])
    members: dict[int, list[int]] = defaultdict(list)
    for i, work in enumerate(roots):
        if len(ngrams[i]) >= FEWEST_NGRAMS:
            members[work].append(i)
    kept: dict[int, list[int]] = {}
    for work in sorted(members):
        if not rivals[work] & kept.keys():
            kept[work] = _without_copies(members[work], pairs)
    return list(kept.values())


def _equal_pairs(titles: Sequence[str]) -> Iterator[tuple[int, int]]:
    holders: dict[str, list[int]] = defaultdict(list)
    for i, title in enumerate(titles):
        holders[title].append(i)
    for owners in holders.values():
        yield from itertools.combinations(owners, 2)


def _without_copies(
    members: Iterable[int], pairs: dict[tuple[int, int], float]
) -> list[int]:
    kept: list[int] = []
    for j in members:
        if all(pairs.get((i, j), 0.0) < COPY for i in kept):
            kept.append(j)
    return kept
