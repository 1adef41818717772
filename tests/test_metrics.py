import numpy as np
import pytest

from bytecover_tf import metrics


def loop(similarity, query_works, reference_works, exclude):
    """The conventions of the module's docstring, one pair at a time."""
    precisions, tens, firsts = [], [], []
    for q, work in enumerate(query_works):
        candidates = [r for r in range(len(reference_works)) if not exclude[q][r]]
        # Ties: what is not relevant comes first.
        candidates.sort(key=lambda r: (-similarity[q][r], reference_works[r] == work))
        hits, precision, ten, first = 0, [], 0, None
        for rank, r in enumerate(candidates, 1):
            if reference_works[r] == work:
                hits += 1
                precision.append(hits / rank)
                ten += rank <= 10
                first = first or rank
        if hits:
            precisions.append(sum(precision) / hits)
            tens.append(ten / 10)
            firsts.append(first)
    return {
        "map": np.mean(precisions),
        "p_at_10": np.mean(tens),
        "mr1": np.mean(firsts),
        "queries": len(firsts),
    }


@pytest.mark.parametrize("levels", [2, 5, 1000])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_a_plain_loop_with_ties_noise_and_subsets(levels, seed):
    rng = np.random.default_rng(seed)
    query_works = [f"w{i}" for i in rng.integers(0, 8, 40)] + ["noise a", "noise b"]
    reference_works = [f"w{i}" for i in rng.integers(2, 10, 60)]
    similarity = rng.integers(0, levels, (42, 60)) / levels
    exclude = rng.random((42, 60)) < 0.1
    result = metrics.evaluate(similarity, query_works, reference_works, exclude)
    expected = loop(similarity, query_works, reference_works, exclude)
    assert result == pytest.approx(expected)
    assert result["queries"] < 42


def test_by_hand():
    works = ["a", "a", "b", "b", "c"]
    similarity = np.array(
        [
            [1.0, 0.9, 0.1, 0.2, 0.3],  # its version is first
            [0.9, 1.0, 0.1, 0.2, 0.3],
            [0.9, 0.8, 1.0, 0.7, 0.1],  # its version is third
            [0.1, 0.2, 0.7, 1.0, 0.9],  # its version is second
            [0.0, 0.0, 0.0, 0.0, 1.0],  # noise
        ]
    )
    result = metrics.evaluate(similarity, works, works, np.eye(5, dtype=bool))
    assert result == {
        "map": pytest.approx((1 + 1 + 1 / 3 + 1 / 2) / 4),
        "p_at_10": pytest.approx(0.1),
        "mr1": pytest.approx((1 + 1 + 3 + 2) / 4),
        "queries": 4,
    }


def test_a_constant_embedding_scores_as_the_worst():
    works = np.repeat(np.arange(50), 2)
    result = metrics.evaluate(
        np.ones((100, 100)), works, works, np.eye(100, dtype=bool)
    )
    assert result["mr1"] == 99
    assert result["map"] == pytest.approx(1 / 99)
    assert result["p_at_10"] == 0


def test_labels_may_be_any_hashable():
    works = [("a", 1), None, ("a", 1), None]
    result = metrics.evaluate(np.eye(4), works, works, np.eye(4, dtype=bool))
    assert result["queries"] == 4


def test_large_labels_are_not_rounded():
    works = [2**24, 2**24 + 1]  # equal in float32
    result = metrics.evaluate(np.ones((2, 2)), works, works, np.eye(2, dtype=bool))
    assert result["queries"] == 0
    assert np.isnan(result["map"])


@pytest.mark.parametrize(
    ("similarity", "exclude", "reason"),
    [
        (np.ones((2, 3)), None, r"\(2, 2\)"),
        (np.ones((2, 2)), np.ones((3, 2)), "exclude"),
        (np.array([[1, np.nan], [0, 1]]), None, "not a number"),
    ],
)
def test_wrong_input_is_refused(similarity, exclude, reason):
    with pytest.raises(ValueError, match=reason):
        metrics.evaluate(similarity, ["a", "b"], ["a", "b"], exclude)


def test_embeddings_in_blocks_equal_the_full_matrix(rng, monkeypatch):
    embeddings = rng.normal(size=(50, 8))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    works = rng.integers(0, 15, 50).tolist()
    ids = [f"id{i}" for i in range(50)]
    asks = slice(0, 30)
    exclude = np.eye(50, dtype=bool)[asks]
    expected = metrics.evaluate(
        embeddings[asks] @ embeddings.T, works[asks], works, exclude
    )
    monkeypatch.setattr(metrics, "_BLOCK", 7)
    scores = metrics.evaluate_embeddings(
        embeddings[asks], embeddings, works[asks], works, ids[asks], ids
    )
    assert scores.summary() == pytest.approx(expected)


def test_bootstrap_resamples_works(rng):
    # One work with many queries of AP 1, one with few of AP 0.
    precision = np.array([1.0] * 30 + [0.0] * 2)
    scores = metrics.QueryScores(
        np.arange(32), precision, np.ones(32, int), np.ones(32, int)
    )
    low, high = metrics.bootstrap_interval(scores, ["a"] * 30 + ["b"] * 2)
    assert (low, high) == (0.0, 1.0)
    by_query = metrics.bootstrap_interval(scores, list(range(32)))
    assert 0.8 < by_query[0] < precision.mean() < by_query[1] <= 1
    assert by_query == metrics.bootstrap_interval(scores, list(range(32)))
