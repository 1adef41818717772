import numpy as np

from benchmarks.accuracy.reranking import Split, ranked


def make_split(similarity):
    count = len(similarity)
    nothing = np.ones((count, count))
    works = np.arange(count) // 2
    return Split(works, [], [], np.asarray(similarity), nothing, nothing)


def test_candidates_are_the_nearest_others():
    split = make_split([[1.0, 0.2, 0.9], [0.2, 1.0, 0.1], [0.9, 0.1, 1.0]])
    assert split.candidates(1).tolist() == [
        [False, False, True],
        [True, False, False],
        [True, False, False],
    ]
    assert not split.candidates(0).any()
    np.testing.assert_array_equal(split.candidates(5), split.others)


def test_candidates_come_first_by_the_second_stage():
    candidates = np.array([[False, True, True, False]])
    second = np.array([[0.99, 0.1, 0.6, 0.9]])
    first = np.array([[1.0, 0.9, 0.8, -0.5]])
    order = np.argsort(-ranked(candidates, second, first))
    assert order.tolist() == [[2, 1, 0, 3]]


def test_pairs_leave_out_a_recording_with_itself():
    split = make_split(np.arange(16.0).reshape(4, 4))
    pairs, labels = split.pairs()
    assert pairs.similarity.tolist() == [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14]
    assert labels.query.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert np.flatnonzero(labels.is_version).tolist() == [0, 3, 8, 11]
