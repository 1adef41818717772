"""The network of `small`, reading what the package's ears hear.

    python -m bytecover_tf.synth.draw --bins-per-octave 36 --out DIR --lieder ZIP
        --pop909 ZIP
    python -m bytecover_tf.train --config notes --init bytecover-small --data packed
        --data-root DIR

The network that hears notes comes with the package and learns no more; what it hears is
much the same for drawn and for real music. It stands in place of the salience layer of
`small`, so the rest may start from the weights of `bytecover-small`. Even without any
training that finds more in real music than `bytecover-small` does. These settings train
it on, gently and for a few steps; then it finds still more. That is how a member of
`bytecover-base` was made, from what had been heard before, so that a step did not hear
anew. Here a step takes seconds on a CPU; `KERAS_BACKEND=jax` trains it on a GPU. Cost
and figures: `benchmarks/experiments.md`.
"""

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.training.augment import Augment
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
    # 26 and 71 s.
    crop_frames=(224, 608),
    augment=Augment(
        stretch=0.5,
        stretch_range=(0.78, 1.28),
        transpose=0.6,
        transpose_bins=18,
        tilt=0.5,
        tilt_knots=8,
        mask_bins=0.15,
        mask_bins_max=90,
        mask_frames=0.25,
        noise=0.3,
    ),
    learning_rate=1.2e-4,
    warmup_steps=100,
    decay="cosine",
    steps_per_epoch=200,
    epochs=6,
)
