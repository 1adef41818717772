"""Trains a network on so that it finds clips, and keeps what it finds by recordings.

    python -m bytecover_tf.train --config clips --init bytecover-small
        --teacher bytecover-small --data packed --data-root DIR

The encoder is its own teacher. The network that starts from it is to embed any clip,
from ten seconds up, where the teacher has embedded the whole recording, and near the
work's other versions. Whole recordings are to stay where they are, so they are found as
before. A recording that no other is a version of helps as well, as a work of its own;
only the works that are measured on need versions. The settings fit
`bytecover-small`; for another encoder, an error message lists what to `--set`, and
`crop_frames` should last as long as these. Cost and figures:
`benchmarks/experiments.md`.
"""

from dataclasses import replace

from bytecover_tf.configs import small

config = replace(
    small.config,
    embedding_dim=384,
    teaching="wholes",
    keep_statistics=True,
    easy_steps=0,
    works_per_batch=28,
    versions_per_work=2,
    # From 10 s to a minute and a half.
    crop_frames=(21, 21, 32, 43, 65, 128, 192, 192),
    optimizer="adamw",
    weight_decay=0.01,
    learning_rate=2e-4,
    warmup_steps=50,
    steps_per_epoch=200,
    epochs=3,
)
