import pytest
from random_tunes import tune

from bytecover_tf.cli.repertoire import EXCERPT_SECONDS, choose_works
from bytecover_tf.data import tunes
from bytecover_tf.synth.playing.style import usual_tempo


def test_works_of_the_embedded_sets_unseen_splits_are_left_out():
    title, collection = min(tunes.unseen_sources())
    scores = [
        tune(0, title, collection=collection),
        tune(0, "The same melody"),
        tune(1, title),
        tune(2),
    ]
    (work,) = choose_works(scores, seed=0)
    assert [score.title for score in work.scores] == ["Tune 2"]


def test_works_are_split_and_long_scores_cut():
    scores = [tune(i, bars=200) for i in range(50)]
    works = choose_works(scores, seed=0)
    assert len({work.id for work in works}) == 50
    assert [work.split for work in works].count("validation") == 2
    whole = {score.title: score for score in scores}
    for work in works:
        (score,) = work.scores
        seconds = 60 * score.bars[score.sections[-1][1]] / usual_tempo(score)
        assert 0.7 * EXCERPT_SECONDS < seconds <= EXCERPT_SECONDS
        # What is kept of a score goes at the tempo of the whole.
        tempo = usual_tempo(whole[score.title])
        assert usual_tempo(score) == pytest.approx(tempo, rel=0.05)
