"""The network of `small`, reading what the package's ears hear.

    python -m bytecover_tf.synth.draw --bins-per-octave 36 --out DIR --lieder ZIP
        --pop909 ZIP
    python -m bytecover_tf.train --config notes --init bytecover-small --data packed
        --data-root DIR

The network that hears notes comes with the package and learns no more; what it hears is
much the same for drawn and for real music. It stands in place of the salience layer of
`small`, so the rest may start from the weights of `bytecover-small`. Even without any
training that finds more in real music than `bytecover-small` does, and is a member of
`bytecover-base`. On a CPU a step takes seconds; `KERAS_BACKEND=jax` trains it on a GPU.
Cost and figures: `benchmarks/experiments.md`.
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
    works_per_batch=24,
    versions_per_work=2,
    # 22 and 74 s.
    crop_frames=(192, 640),
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
    learning_rate=3e-4,
    warmup_steps=100,
    decay="cosine",
    steps_per_epoch=500,
    epochs=8,
)
