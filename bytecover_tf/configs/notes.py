"""The network of `small`, reading what the package's ears hear.

    python -m bytecover_tf.synth.draw --bins-per-octave 36 --out DIR --lieder ZIP
        --pop909 ZIP
    python -m bytecover_tf.train --config notes --init bytecover-small --data packed
        --data-root DIR

The network that hears notes comes with the package and learns no more; what it hears is
much the same for drawn and for real music. It stands in place of the salience layer of
`small`, so the rest may start from the weights of `bytecover-small`. Even without any
training that finds more in real music than `bytecover-small` does. These settings train
it on, gently and for a few steps; then it finds still more. Crops are compared whole
and by windows of 18 s and 9 s, so that clips are found too. All recordings are heard
once, before the first step; what was heard stays beside the features. A member of
`bytecover-base` was made in this way. Cost and figures: `benchmarks/experiments.md`.
"""

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.training.config import Config

config = Config(
    frontend=Frontend(n_bins=252, bins_per_octave=36, pool=5, estimated=True),
    blocks=(1, 2, 2, 1),
    width=24,
    heard=24,
    pitch_classes=True,
    embedding_dim=384,
    temperature=0.1,
    keep_statistics=True,
    works_per_batch=32,
    versions_per_work=2,
    # 71 s and 35 s; `note_augment` makes some of them shorter.
    crop_frames=(608, 304),
    windows=4,
    hear_once=True,
    optimizer="adamw",
    weight_decay=0.01,
    learning_rate=1.2e-4,
    warmup_steps=100,
    decay="cosine",
    steps_per_epoch=200,
    epochs=6,
)
