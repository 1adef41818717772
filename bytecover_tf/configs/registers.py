"""A second network beside `bytecover-small`, for an ensemble: it has no note layer.

    python -m bytecover_tf.train --config registers --teacher bytecover-small
        --data packed --data-root DIR

DIR is a set that `bytecover_tf.synth.draw` has drawn. The backbone reads pitch classes
in four registers, which a fixed layer folds. So it makes other mistakes than a network
that has learned from drawn features which notes sound, and an ensemble of the two finds
more than either. By itself it finds less than `bytecover-small`. It learns tunes slowly
from this input, so a teacher that reads their scores helps it.
Cost and figures: `benchmarks/experiments.md`.
"""

from dataclasses import replace

from bytecover_tf.configs import small

config = replace(
    small.config,
    input_power=1.0,
    salience=None,
    registers=4,
    embedding_dim=384,
    easy_steps=200,
    score_share=0.0,
    works_per_batch=12,
    learning_rate=2e-3,
    steps_per_epoch=300,
    epochs=12,
)
