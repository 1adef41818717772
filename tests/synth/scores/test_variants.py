from dataclasses import replace

import numpy as np
import pytest

from bytecover_tf.synth.scores.note import Note
from bytecover_tf.synth.scores.score import make_score
from bytecover_tf.synth.scores.variants import (
    group_works,
    melody_ngrams,
    plain_title,
    similar_pairs,
)


def tune(title, pitches, length=1.0):
    notes = [Note(i * length, length, int(p)) for i, p in enumerate(pitches)]
    bars = [4.0 * i for i in range(int(len(pitches) * length / 4) + 1)]
    return make_score(title, "tests", notes, bars)


def walk(seed, count=128):
    steps = np.random.default_rng(seed).choice([-5, -3, -2, -1, 1, 2, 3, 4], count)
    return 66 + np.cumsum(steps) % 19


def test_key_octave_and_rhythm_do_not_matter():
    pitches = walk(0)
    doubled = np.repeat(pitches + 7, 2)
    assert melody_ngrams(tune("a", pitches).melody) == melody_ngrams(
        tune("b", doubled, 0.5).melody
    )


def test_similarity_is_the_weight_shared_over_the_smaller_set():
    a, b, c = (1,), (2,), (3,)
    pairs = similar_pairs(
        [frozenset({a, b}), frozenset({a, b, c}), frozenset({b})], 0.1
    )
    # log(3/2) for `a`, which two have, and log(3/3) for `b`, which all have.
    assert pairs == {(0, 1): pytest.approx(1.0)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("LANIGAN'S BALL -- JIG", "Lanigan\u2019s Ball."),
        ("Echo, The", "The Echo"),
        ("Nun ruhen alle W\u00e4lder", "nun ruhen alle walder"),
    ],
)
def test_spellings_of_a_title_agree(one, other):
    assert plain_title(one) == plain_title(other)


def test_variants_join_copies_and_doubtful_works_go():
    first, second, third = walk(1), walk(2), walk(3)
    half = np.concatenate([first[:96], walk(4)[:32]])
    quarter = np.concatenate([third[:40], walk(5)[:88]])
    scores = [
        tune("Alpha", first),
        tune("Beta", second),
        tune("Another name", half + 3),  # 3/4 of Alpha: the same tune
        tune("Alpha", first + 5),  # a copy in another key
        tune("Gamma", third),
        tune("Delta", quarter),  # a third of Gamma: too close to be another work
        tune("Beta", walk(6)),  # the title of another work
        tune("Scale", [60 + i % 8 for i in range(128)]),  # nothing to tell it by
    ]
    assert group_works(scores) == [[0, 2], [1], [4]]


def test_works_do_not_depend_on_the_key():
    scores = [tune(f"Tune {i}", walk(i)) for i in range(6)]
    moved = [
        replace(s, melody=tuple(replace(n, pitch=n.pitch + i) for n in s.melody))
        for i, s in enumerate(scores)
    ]
    assert group_works(scores + moved) == [[i] for i in range(6)]
