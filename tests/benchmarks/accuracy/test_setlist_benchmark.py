from types import SimpleNamespace

import pytest

from benchmarks.accuracy.setlist import HEADER, count, row
from benchmarks.common.played_sets import Played


def song(work, start, end):
    return SimpleNamespace(work=work, start=start, end=end, match=work)


PLAYED = [
    Played("a", 0, 100),
    Played("b", 100, 200, "cover"),
    Played("c", 200, 300, "cover"),
]


@pytest.fixture
def counts():
    """Of three songs one is found exactly, one roughly, one is taken for another."""
    found = [song("a", 1, 100), song("b", 106, 196), song("d", 210, 300)]
    return count(PLAYED, [*found, SimpleNamespace(match=None)])


def test_a_song_is_found_where_it_is_played(counts):
    assert counts.right == [0, 1]
    assert counts.errors.tolist() == [[1, 0], [6, 4]]
    assert (counts.found, counts.in_order) == (3, 2)
    # Half of what the two cover together is the least.
    assert count(PLAYED[:1], [song("a", 50, 100)]).right == [0]
    assert count(PLAYED[:1], [song("a", 51, 100)]).right == []
    assert count(PLAYED[:1], [song("a", 0, 100), song("a", 0, 100)]).right == [0]


def test_each_kind_of_song_has_a_row(counts):
    every = dict(zip(HEADER, row("all", [counts]), strict=True))
    assert every["played"] == "3"
    assert [every[name] for name in ("precision", "recall", "in order")] == ["0.67"] * 3
    covers = dict(zip(HEADER, row("cover", [counts], "cover"), strict=True))
    assert (covers["played"], covers["recall"]) == ("2", "0.50")
    assert covers["precision"] == ""
    assert covers["median error of start (s)"] == "6.0"
    assert covers["of end (s)"] == "4.0"
    assert (
        dict(zip(HEADER, row("medley", [counts], "medley"), strict=True))["of end (s)"]
        == "nan"
    )
