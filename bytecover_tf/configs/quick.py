"""A small network that learns to hear notes first: the first training of the README.

    python -m bytecover_tf.train

Five minutes of two CPU cores are some hundred steps. In these a network does not learn
to tell tunes apart by their spectra alone, so it learns as `small` does: a layer in
front of the backbone learns from scores which notes sound, and until it hears well, the
backbone reads the scores themselves. All parts are smaller than there, and so are the
batches: 16 works, two versions of each, 37 seconds of every version. Features and
notes of the embedded data set are drawn before its first training. For recordings
without scores, take the config `tunes`, or start from what this one has trained
(`--init`).
Figures on unseen works: `benchmarks/results/encoders.md`, section "First training".
"""

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.training.augment import Augment
from bytecover_tf.training.config import Config

config = Config(
    frontend=Frontend(pool=20),
    blocks=(1, 1, 1, 1),
    width=16,
    input_power=0.5,
    salience=8,
    pitch_classes=True,
    temperature=0.1,
    easy_steps=200,
    score_share=0.2,
    works_per_batch=16,
    versions_per_work=2,
    crop_frames=(80,),
    augment=Augment(
        stretch=0.4,
        transpose=0.5,
        transpose_bins=3,
        tilt=0.9,
        tilt_knots=8,
        tilt_decibels=10.0,
        mask_bins=0.2,
        mask_frames=0.2,
        noise=0.3,
    ),
    learning_rate=2e-3,
    warmup_steps=50,
    decay="cosine",
    steps_per_epoch=100,
    epochs=8,
)
