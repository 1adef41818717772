"""A small ByteCover for the embedded data set, or for a small collection on a CPU.

    python -m bytecover_tf.train

6 bottlenecks at 3/8 of the paper's width, on pitch classes instead of 84 bins: so few
works do not teach that a key means nothing. The network remembers recordings by their
sound unless crops are transposed, which moves notes over the edges of the 84 bins, and
equalised at random; and the classification loss alone organises the embedding faster
than both do, so the triplet loss joins for the last third. Cost and figures on unseen
works: `benchmarks/results.md`, section "First training"; both were chosen on the
validation works.
"""

from bytecover_tf.training.augment import Augment
from bytecover_tf.training.config import Config

config = Config(
    blocks=(1, 2, 2, 1),
    width=24,
    input_power=0.5,
    pitch_classes=True,
    triplet_from_epoch=8,
    label_smoothing=0.1,
    crop_frames=(20, 30),
    augment=Augment(
        stretch=0.8,
        transpose=1.0,
        tilt=0.9,
        tilt_knots=8,
        tilt_decibels=15.0,
        mask_bins=0.2,
        noise=0.3,
    ),
    learning_rate=2e-3,
    warmup_steps=50,
    decay="cosine",
    steps_per_epoch=400,
    epochs=12,
)
