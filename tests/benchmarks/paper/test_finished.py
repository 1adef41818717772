import json
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.common.report import report_file
from benchmarks.paper import comparison
from benchmarks.paper.finished import Finished, finished
from benchmarks.paper.tables import Collection, row


@pytest.fixture
def collection():
    works = [f"w{number // 3}" for number in range(30)]
    return Collection("some", "some", works, [], np.eye(30, dtype=bool))


@pytest.fixture
def network(collection, rng):
    scores = collection.search(rng.random((30, 30)))
    queries = {"some": Finished.queries_of(scores)}
    return scores, Finished("", "", {}, [0.1, 0.2], 3.0, queries)


def test_a_row_from_what_is_kept_is_that_of_the_search(network, collection, tmp_path):
    scores, result = network
    path = tmp_path / "comparison" / "move.json"
    kept = finished(path, ["a", "b"], lambda: result)
    assert kept.what == "a\nb"
    again = finished(path, ["a", "b"], lambda: pytest.fail("trained again"))
    assert again == kept
    assert row(again.scores(collection), collection) == row(scores, collection)


def test_what_the_report_keeps_can_be_read():
    paths = sorted(report_file("paper").with_name("comparison").glob("*.json"))
    assert {path.stem.split("-")[0] for path in paths} == set(comparison.ALL)
    for path in paths:
        what = json.loads(path.read_text())["what"]
        kept = finished(path, [what], lambda path=path: pytest.fail(path.stem))
        assert len(kept.course) > 1


def test_another_training_replaces_what_is_kept(network, tmp_path):
    _, result = network
    path = tmp_path / "move.json"
    finished(path, ["6 000 steps"], lambda: result)
    longer = replace(result, minutes=30.0)
    assert finished(path, ["30 000 steps"], lambda: longer).minutes == 30
    kept = finished(path, ["30 000 steps"], lambda: pytest.fail("trained again"))
    assert kept.minutes == 30


def test_further_seeds_have_the_rate_of_the_first(network, tmp_path, monkeypatch):
    _, result = network
    asked = []

    def train(name, seed, rates, options, collections):
        asked.append((seed, rates))
        return replace(result, rates={} if seed else {"1e-3": 7.0, "1e-4": 6.5})

    monkeypatch.setattr(comparison, "train_and_search", train)
    monkeypatch.setattr(
        comparison, "about_training", lambda name, seed, rates, *_: [f"{seed} {rates}"]
    )
    options = Namespace(seeds=2, rates=["1e-3", "1e-4"])
    found = comparison.of_all_seeds("move", options, [], tmp_path)
    assert asked == [(0, ["1e-3", "1e-4"]), (1, ["1e-4"])]
    assert comparison.of_all_seeds("move", options, [], tmp_path) == found
    assert len(asked) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "move-0.json",
        "move-1.json",
    ]
