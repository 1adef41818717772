"""Ki-CNN, trained by classification as published (see `models/kicnn.py`).

    python -m bytecover_tf.train --config kicnn --data shs100k2 --data-root DIR

MAP on SHS100K-TEST as published: .219 (the paper, table 1). Trained here as ByteCover
is, except for the loss; features and crops are those of `tppnet`. Cost: less than
a tenth of `tppnet`.
"""

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.training.config import Config

config = Config(
    frontend=Frontend(pool=20),
    network="kicnn",
    width=32,
    embedding_dim=300,
    bnneck=False,
    margin=None,
    crop_frames=(200, 300, 400),
)
