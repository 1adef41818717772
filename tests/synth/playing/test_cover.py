import numpy as np

from bytecover_tf.synth.playing.accompany import GROOVES, PATTERNS
from bytecover_tf.synth.playing.cover import fuller, vary
from bytecover_tf.synth.playing.style import Style


def test_players_join_an_arrangement():
    style = Style(layers=(("bass", 32),))
    joined, doubled = set(), set()
    for seed in range(40):
        joined_by = fuller(style, np.random.default_rng(seed))
        assert joined_by == fuller(style, np.random.default_rng(seed))
        assert joined_by.layers[0] == ("bass", 32)
        added = [pattern for pattern, _ in joined_by.layers[1:]]
        assert 1 <= len(added) == len(set(added)) <= 3
        joined.update(added)
        doubled.add(joined_by.doubling and joined_by.doubling[1])
    assert joined == set(PATTERNS) - {"oom_pah"}
    assert doubled == {None, -1, 0, 1}


def test_styles_vary_in_what_the_embedded_set_lacks():
    style = Style(layers=(("drums", 0),))
    varied = [vary(style, np.random.default_rng(seed)) for seed in range(100)]
    assert varied[0] == vary(style, np.random.default_rng(0))
    assert {v.groove for v in varied} == {"", *GROOVES}
    most = {"rests": 0.4, "freedom": 0.15, "reharmonise": 0.6, "extended": 1.0}
    for name, highest in most.items():
        values = [getattr(v, name) for v in varied]
        assert 10 < values.count(0.0) < 90
        assert max(values) <= highest
