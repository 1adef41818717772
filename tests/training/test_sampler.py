from collections import Counter

import numpy as np
import pytest

from bytecover_tf.errors import ConfigError
from bytecover_tf.training.sampler import PKSampler

# 20 works with 1 to 9 recordings.
WORKS = np.repeat(np.arange(20), np.arange(20) % 9 + 1)


@pytest.mark.parametrize("weighting", ["work", "size"])
@pytest.mark.parametrize(("p", "k"), [(1, 1), (8, 4), (20, 3), (7, 12)])
def test_every_batch_has_p_works_with_k_versions(weighting, p, k):
    sampler = PKSampler(WORKS, p, k, seed=3, weighting=weighting)
    assert sampler.batch_size == p * k
    for number in range(50):
        batch = sampler.batch(number)
        works = WORKS[batch].reshape(p, k)
        assert (works == works[:, :1]).all()
        assert len(set(works[:, 0])) == p


def test_versions_repeat_only_where_a_work_has_too_few_and_then_evenly():
    sampler = PKSampler(WORKS, 5, 4)
    for number in range(50):
        for versions in sampler.batch(number).reshape(5, 4):
            available = (WORKS[versions[0]] == WORKS).sum()
            counts = Counter(versions.tolist())
            assert len(counts) == min(4, available)
            assert max(counts.values()) - min(counts.values()) <= 1


def test_every_work_comes_equally_often():
    sampler = PKSampler(WORKS, 6, 2)
    counts = Counter()
    passes = 40
    for number in range(passes * sampler.batches_per_pass):
        counts.update(WORKS[sampler.batch(number)][::2].tolist())
    # A pass leaves out the 2 of 20 works that do not fill a batch.
    assert sum(counts.values()) == passes * 18
    assert min(counts.values()) > 0.75 * passes
    assert max(counts.values()) <= passes
    first = [WORKS[sampler.batch(n)][::2].tolist() for n in range(3)]
    assert len(set(np.ravel(first))) == 18


def test_by_size_works_come_in_proportion_to_their_recordings():
    sampler = PKSampler(WORKS, 1, 1, weighting="size")
    counts = Counter(WORKS[sampler.batch(n)][0] for n in range(20_000))
    sizes = np.bincount(WORKS)
    for work, size in enumerate(sizes):
        assert counts[work] / 20_000 == pytest.approx(size / len(WORKS), abs=0.01)


@pytest.mark.parametrize("weighting", ["work", "size"])
def test_batches_follow_from_seed_and_number_alone(weighting):
    ours = PKSampler(WORKS, seed=5, weighting=weighting)
    theirs = PKSampler(WORKS, seed=5, weighting=weighting)
    forward = [ours.batch(number) for number in range(30)]
    for number in reversed(range(30)):
        np.testing.assert_array_equal(theirs.batch(number), forward[number])
    other = PKSampler(WORKS, seed=6, weighting=weighting)
    assert any((other.batch(n) != forward[n]).any() for n in range(30))


def test_recordings_of_a_work_need_not_be_neighbours():
    works = np.array([4, 9, 4, 9, 7, 4])
    batch = PKSampler(works, 3, 2).batch(0)
    assert sorted(works[batch]) == [4, 4, 7, 7, 9, 9]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"works_per_batch": 21}, "takes 21 works, but there are only 20"),
        ({"works_per_batch": 0}, "at least 1"),
        ({"versions_per_work": 0}, "at least 1"),
        ({"weighting": "loudness"}, "weighting"),
    ],
)
def test_impossible_batches_are_refused(arguments, reason):
    with pytest.raises(ConfigError, match=reason):
        PKSampler(WORKS, **arguments)


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_replicas_share_a_batch_by_works(replicas):
    sampler = PKSampler(WORKS, 8, 3)
    shares = [sampler.share(number, replicas) for number in range(replicas)]
    for number in range(5):
        batch = sampler.batch(number)
        parts = [batch[share] for share in shares]
        np.testing.assert_array_equal(np.concatenate(parts), batch)
        works = [set(WORKS[part]) for part in parts]
        assert all(len(part) == 8 // replicas for part in works)
        assert len(set.union(*works)) == 8


def test_works_that_replicas_cannot_share_are_refused():
    with pytest.raises(ConfigError, match="is 8, which 3 replicas cannot share"):
        PKSampler(WORKS, 8, 3).share(0, 3)
