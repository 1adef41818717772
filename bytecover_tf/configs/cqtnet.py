"""CQT-Net, trained by classification as published (see `models/cqtnet.py`).

    python -m bytecover_tf.train --config cqtnet --data shs100k2 --data-root DIR

MAP on SHS100K-TEST as published: .655 (the paper, table 1). Trained here as ByteCover
is, except for the loss; features of 0.46 s and crops of 93, 139 and 186 s are CQT-Net's
own. Cost: about 31 million multiplications for each frame of a crop, so use a GPU.
"""

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.training.config import Config

config = Config(
    frontend=Frontend(pool=20),
    network="cqtnet",
    width=32,
    embedding_dim=300,
    bnneck=False,
    margin=None,
    crop_frames=(200, 300, 400),
)
