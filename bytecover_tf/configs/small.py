"""A small encoder, trained on drawn recordings for real ones: `bytecover-small`.

    python -m bytecover_tf.synth.draw --out DIR --lieder ZIP --pop909 ZIP
    python -m bytecover_tf.train --config small --data packed --data-root DIR

On features of 0.46 s, metric learning alone learns nothing in some thousand steps: a
network must hear tunes before it can tell them apart. So a layer before the backbone
learns from the scores which notes sound, and until it hears well enough, the backbone
learns tunes from the scores themselves. The backbone reads pitch classes on a ring, so
it need not learn to ignore the key. A contrastive loss replaces the classifier, which
would need some steps for each of several thousand works. Cost and figures:
`benchmarks/results/encoders.md` and `benchmarks/experiments.md`.
"""

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.training.augment import Augment
from bytecover_tf.training.config import Config

config = Config(
    frontend=Frontend(pool=20),
    blocks=(1, 2, 2, 1),
    width=24,
    input_power=0.5,
    salience=24,
    pitch_classes=True,
    temperature=0.1,
    easy_steps=1000,
    score_share=0.15,
    works_per_batch=16,
    versions_per_work=4,
    crop_frames=(128,),
    augment=Augment(
        stretch=0.4,
        transpose=0.5,
        transpose_bins=3,
        tilt=0.9,
        tilt_knots=8,
        tilt_decibels=10.0,
        mask_bins=0.2,
        mask_frames=0.2,
        noise=0.5,
        noise_level=0.06,
    ),
    learning_rate=1e-3,
    warmup_steps=100,
    decay="cosine",
    steps_per_epoch=500,
    epochs=8,
)
