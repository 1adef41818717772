"""A second view beside `bytecover-small`, for an ensemble: nothing is learned to hear.

    python -m bytecover_tf.train --config registers --teacher bytecover-small
        --data tunes --data-root DIR

DIR is a set that `bytecover_tf.synth.draw` has drawn. The backbone reads pitch classes
in four registers, folded by a fixed layer, so that it errs otherwise than a network
that has learned from drawn features which notes sound. By itself it finds less. It is
slow to learn tunes from what it reads, and so has a teacher that reads their scores.
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
