"""MOVE's network, trained by the triplet loss alone (see `models/move.py`).

    python -m bytecover_tf.train --config move --data shs100k --data-root DIR

MAP on Da-TACOS as published: .507 (the paper, table 1) with embeddings of 16 000
numbers, here 512 (`--set embedding_dim=16000`). Margin 1 and batches of 16 works as
published; optimiser and the rest as for ByteCover. Cost: about 14 million
multiplications for each frame of a crop, so use a GPU.
"""

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.training.config import Config

config = Config(
    frontend=Frontend(pool=20),
    network="move",
    width=256,
    embedding_dim=512,
    bnneck=False,
    classification=False,
    margin=1.0,
    works_per_batch=16,
    crop_frames=(200, 300, 400),
)
