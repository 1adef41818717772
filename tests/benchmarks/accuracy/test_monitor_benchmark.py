from types import SimpleNamespace

import numpy as np

from benchmarks.accuracy.monitor import LATE, blocks, judge
from benchmarks.common.played_sets import Played

PLAYED = [Played("a", 0, 100), Played("b", 100, 200), Played("a", 300, 400)]


def change(at, work):
    match = work and SimpleNamespace(recording=SimpleNamespace(work=work))
    return SimpleNamespace(at=at, match=match)


def test_delays_are_from_the_beginning_of_each_song():
    told = [change(20, "a"), change(60, "a"), change(130, "b"), change(350, "a")]
    found = judge(PLAYED, [*told, change(210, None)])
    assert (found.played, found.told, found.right) == (3, 4, 4)
    assert found.delays == [20, 30, 50]


def test_what_is_not_played_then_is_wrong():
    late = change(100 + LATE + 1, "a")
    found = judge(PLAYED, [change(20, "b"), late, change(50, "c")])
    assert (found.told, found.right, found.delays) == (3, 0, [])
    just_then = change(100 + LATE, "a")
    assert judge(PLAYED, [just_then]).right == 1


def test_a_stream_brings_all_of_a_sound():
    sound = np.arange(50_000)
    parts = list(blocks(sound))
    assert len(parts) == 3
    assert np.array_equal(np.concatenate(parts), sound)
