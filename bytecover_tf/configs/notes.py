"""An encoder that reads heard notes, to stand beside `bytecover-base`.

    python -m bytecover_tf.synth.draw --bins-per-octave 36 --out DIR --lieder ZIP
        --pop909 ZIP
    python -m bytecover_tf.train --config notes --data packed --data-root DIR

The network that hears notes comes with the package and learns no more; what it hears is
much the same for drawn and for real music. The backbone learns tunes from it: pitch
classes on a ring, the octaves as channels. Stop early: after some 4,000 steps of 96
works, a network went on to learn what holds for drawn versions alone. On a CPU a step
takes seconds; `KERAS_BACKEND=jax` trains it on a GPU. Cost and figures:
`benchmarks/experiments.md`.
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
    embedding_dim=256,
    temperature=0.1,
    works_per_batch=24,
    versions_per_work=2,
    # 22 and 82 s.
    crop_frames=(192, 704),
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
    learning_rate=1e-3,
    warmup_steps=300,
    decay="cosine",
    steps_per_epoch=500,
    epochs=8,
)
