import numpy as np
import pytest

from bytecover_tf import metrics


def loop(similarity, query_works, reference_works, exclude):
    """The conventions of the module's docstring, one pair at a time."""
    precisions, tens, firsts, shares, margins, strangers = [], [], [], [], [], []
    for q, work in enumerate(query_works):
        candidates = [r for r in range(len(reference_works)) if not exclude[q][r]]
        # Ties: what is not relevant comes first.
        candidates.sort(key=lambda r: (-similarity[q][r], reference_works[r] == work))
        others = [r for r in candidates if reference_works[r] != work]
        nearest = similarity[q][others[0]] if others else -np.inf
        strangers.append(nearest)
        hits, precision, ten, first, passed = 0, [], 0, None, []
        for rank, r in enumerate(candidates, 1):
            if reference_works[r] == work:
                hits += 1
                precision.append(hits / rank)
                ten += rank <= 10
                first = first or rank
                passed.append((rank - hits) / len(others))
        if hits:
            precisions.append(sum(precision) / hits)
            tens.append(ten / 10)
            firsts.append(first)
            shares.append(np.mean(passed))
            margins.append((first == 1, similarity[q][candidates[0]]))
    # The lowest threshold that at most 1% of the strangers exceed.
    threshold = min(
        t for t in strangers if sum(s > t for s in strangers) <= 0.01 * len(strangers)
    )
    return {
        "map": np.mean(precisions),
        "p_at_10": np.mean(tens),
        "mr1": np.mean(firsts),
        "median_rank": sorted(firsts)[len(firsts) // 2]
        if len(firsts) % 2
        else np.mean(sorted(firsts)[len(firsts) // 2 - 1 : len(firsts) // 2 + 1]),
        "mrr": np.mean([1 / first for first in firsts]),
        "hit_at_1": np.mean([first == 1 for first in firsts]),
        "hit_at_10": np.mean([first <= 10 for first in firsts]),
        "nar": np.mean(shares),
        "open_set_recall": np.mean([at_1 and s > threshold for at_1, s in margins]),
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
        "median_rank": 1.5,
        "mrr": pytest.approx((1 + 1 + 1 / 3 + 1 / 2) / 4),
        "hit_at_1": 0.5,
        "hit_at_10": 1,
        # Two of three others stand before the third's version, one before the fourth's.
        "nar": pytest.approx((0 + 0 + 2 / 3 + 1 / 3) / 4),
        # Someone else's version comes as near as .9, which nothing exceeds.
        "open_set_recall": 0,
        "queries": 4,
    }


def test_a_constant_embedding_scores_as_the_worst():
    works = np.repeat(np.arange(50), 2)
    result = metrics.evaluate(
        np.ones((100, 100)), works, works, np.eye(100, dtype=bool)
    )
    assert result["mr1"] == 99
    assert result["map"] == pytest.approx(1 / 99)
    assert result["p_at_10"] == result["hit_at_10"] == result["open_set_recall"] == 0
    assert result["nar"] == 1


@pytest.mark.parametrize(("count", "dim"), [(160, 512), (161, 1024), (443, 512)])
def test_one_vector_for_all_recordings_scores_as_the_worst(rng, count, dim):
    """Whatever a product of matrices rounds differently in different columns."""
    vector = rng.normal(size=dim).astype(np.float32)
    vectors = np.tile(vector / np.linalg.norm(vector), (count, 1))
    works = np.arange(count) // 2
    names = range(count)
    result = metrics.evaluate_embeddings(
        vectors, vectors, works.tolist(), works.tolist(), names, names
    ).summary()
    assert result["nar"] == 1
    assert result["hit_at_10"] == 0


def test_an_open_set_allows_one_false_alarm_in_a_hundred_queries():
    # 50 works of two recordings, each like its version by .5; of other pairs two are
    # more alike, and all the rest less.
    works = np.repeat(np.arange(50), 2)
    similarity = np.where(works[:, None] == works, 0.5, 0.1)
    similarity[0, 10] = 0.9
    found = metrics.evaluate(similarity, works, works, np.eye(100, dtype=bool))
    # The first query alone answers wrongly, and is the one in a hundred.
    assert found["open_set_recall"] == pytest.approx(0.99)
    similarity[1, 20] = 0.8
    # Now the threshold is .8.
    found = metrics.evaluate(similarity, works, works, np.eye(100, dtype=bool))
    assert found["open_set_recall"] == 0


def test_queries_without_a_version_count_as_strangers_alone():
    # A stranger comes nearer to a reference than any query to its version.
    similarity = np.array([[0.5, 0.1], [0.1, 0.5], [0.6, 0.2]])
    found = metrics.evaluate(similarity, ["a", "b", "none"], ["a", "b"])
    assert found["hit_at_1"] == 1
    assert found["open_set_recall"] == 0
    found = metrics.evaluate(similarity[:2], ["a", "b"], ["a", "b"])
    assert found["open_set_recall"] == 1


def test_without_any_other_reference_all_is_perfect():
    found = metrics.evaluate(np.array([[0.3]]), ["a"], ["a"])
    assert (found["nar"], found["open_set_recall"], found["map"]) == (0, 1, 1)


def test_the_published_measures_of_torch_and_sklearn_agree(rng):
    """Average precision as scikit-learn has it, recall and MRR as of torch's topk."""
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    torch = pytest.importorskip("torch")
    works = rng.permutation(np.repeat(np.arange(12), 5))
    similarity = rng.normal(size=(60, 60)) + (works[:, None] == works)
    found = metrics.evaluate(similarity, works, works, np.eye(60, dtype=bool))
    precisions = []
    for query in range(60):
        rest = np.arange(60) != query
        precisions.append(
            sklearn_metrics.average_precision_score(
                works[rest] == works[query], similarity[query, rest]
            )
        )
    assert found["map"] == pytest.approx(np.mean(precisions))
    scores = torch.tensor(similarity).fill_diagonal_(-torch.inf)
    order = torch.topk(scores, 59).indices
    relevant = torch.tensor(works)[order] == torch.tensor(works)[:, None]
    assert found["hit_at_1"] == pytest.approx(float(relevant[:, 0].double().mean()))
    assert found["hit_at_10"] == pytest.approx(
        float(relevant[:, :10].any(1).double().mean())
    )
    first = relevant.int().argmax(1) + 1
    assert found["mrr"] == pytest.approx(float((1 / first.double()).mean()))
    # The area under the curve is the share of pairs in the right order.
    areas = [
        sklearn_metrics.roc_auc_score(
            works[np.arange(60) != q] == works[q], similarity[q, np.arange(60) != q]
        )
        for q in range(60)
    ]
    assert found["nar"] == pytest.approx(1 - np.mean(areas))


def test_integers_are_similarities_too(rng):
    whole = rng.permutation(36).reshape(6, 6)
    works = [0, 0, 1, 1, 2, 3]
    exclude = np.eye(6, dtype=bool)
    expected = metrics.evaluate(whole.astype(float), works, works, exclude)
    assert metrics.evaluate(whole, works, works, exclude) == expected


def test_pairs_that_do_not_count_need_no_number(rng):
    similarity = rng.normal(size=(6, 6))
    works = [0, 0, 1, 1, 2, 3]
    exclude = np.eye(6, dtype=bool)
    expected = metrics.evaluate(similarity, works, works, exclude)
    np.fill_diagonal(similarity, np.nan)
    assert metrics.evaluate(similarity, works, works, exclude) == expected


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
    ones = np.ones(32, int)
    scores = metrics.QueryScores(np.arange(32), precision, ones, ones, ones, ones, ones)
    low, high = metrics.bootstrap_interval(scores, ["a"] * 30 + ["b"] * 2)
    assert (low, high) == (0.0, 1.0)
    by_query = metrics.bootstrap_interval(scores, list(range(32)))
    assert 0.8 < by_query[0] < precision.mean() < by_query[1] <= 1
    assert by_query == metrics.bootstrap_interval(scores, list(range(32)))
