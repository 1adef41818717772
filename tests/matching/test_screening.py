from dataclasses import replace

import numpy as np
import pytest

from bytecover_tf.matching.alignment import NOTHING, align_many
from bytecover_tf.matching.screening import BATCH, SECOND_LOOKS, align_likely

FRAMES = 240


def music(seed, frames=FRAMES):
    """Chroma of notes that last some frames each, of five parts."""
    rng = np.random.default_rng(seed)
    chroma = rng.random((60, frames)) * 40
    for part in range(0, 60, 12):
        t = 0
        while t < frames:
            length = int(rng.integers(2, 7))
            for pitch in rng.choice(12, 2, replace=False):
                chroma[part + pitch, t : t + length] += 200
            t += length
    return chroma.astype(np.uint8)


def version(chroma, semitones=3, tempo=1.1):
    """The same in another key and tempo."""
    at = np.arange(0, chroma.shape[1] - 1, tempo).astype(int)
    parts = np.split(chroma[:, at], 5)
    return np.concatenate([np.roll(part, semitones, axis=0) for part in parts])


QUERY = music(0)
STRANGERS = [music(seed) for seed in range(1, 61)]
ALIKE = np.zeros(60)


def was_aligned(alignments):
    return [number for number, one in enumerate(alignments) if one is not NOTHING]


def test_a_version_is_aligned_as_ever_and_most_strangers_are_not():
    references = [*STRANGERS[:40], version(QUERY), *STRANGERS[41:]]
    found = align_likely(QUERY, references, ALIKE)
    exact = align_many(QUERY, references)
    assert found[40] == exact[40]
    assert found[40].score > 3
    aligned = was_aligned(found)
    # The batch of the version, and one that had none.
    assert len(aligned) == 2 * BATCH
    assert all(found[number] == exact[number] for number in aligned)


def test_all_versions_are_aligned_however_many_there_are():
    tempi = np.linspace(0.85, 1.2, 40)
    versions = [version(QUERY, number, tempo) for number, tempo in enumerate(tempi)]
    found = align_likely(QUERY, [*STRANGERS[:20], *versions], ALIKE)
    assert min(one.score for one in found[20:]) > 3


@pytest.mark.parametrize("similarity", [1, -1])
def test_references_with_similar_embeddings_come_first(similarity):
    similarities = ALIKE.copy()
    similarities[[7, 33]] = similarity
    aligned = was_aligned(align_likely(QUERY, STRANGERS, similarities))
    assert len(aligned) < len(STRANGERS)
    assert [number in aligned for number in (7, 33)] == 2 * [similarity > 0]


def test_short_recordings_are_all_aligned():
    clip = QUERY[:, :120]
    assert align_likely(clip, STRANGERS, ALIKE) == align_many(clip, STRANGERS)
    references = [one[:, :120] for one in STRANGERS]
    assert align_likely(QUERY, references, ALIKE) == align_many(QUERY, references)


def test_a_clip_is_aligned_from_two_beginnings():
    clip, later = QUERY[:, :60], QUERY[:, 1:60]
    references = [*STRANGERS[:50], version(QUERY)]
    found = align_likely(clip, references, ALIKE[:51], later=later)
    first, second = (align_many(one, references) for one in (clip, later))
    ranks = np.argsort(np.argsort([-one.score for one in first]))
    assert ranks[50] == 0
    for rank, one, single, other in zip(ranks, found, first, second, strict=True):
        score = single.score
        if rank < SECOND_LOOKS:
            score = (score + other.score) / 2
        assert one == replace(single, score=score)


@pytest.mark.parametrize("count", [0, 1, BATCH])
def test_few_references_are_all_aligned(count):
    references = STRANGERS[:count]
    found = align_likely(QUERY, references, ALIKE[:count])
    assert found == align_many(QUERY, references)
