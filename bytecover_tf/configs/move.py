"""MOVE's network, trained by the triplet loss alone (see `models/move.py`).

    python -m bytecover_tf.train --config move --data shs100k2 --data-root DIR

MAP on Da-TACOS as published: .507 (the paper, table 1) with embeddings of 16 000
numbers, here 512 (`--set embedding_dim=16000`). Margin 1, squared distances, batches
of 16 works and crops of 1 800 frames of 0.093 s as published; optimiser and the rest as
for ByteCover. Cost: about 8 million multiplications for each frame of a crop, so use
a GPU.

Features of longer frames make it cheaper. Its kernels then have to shrink with them;
at 0.46 s, for instance:

    --set frontend.pool=20 --set kernel_frames=36 --set 'crop_frames=(360,)'
"""

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.training.config import Config

config = Config(
    frontend=Frontend(pool=4),
    network="move",
    width=256,
    embedding_dim=512,
    bnneck=False,
    classification=False,
    margin=1.0,
    distance="squared",
    works_per_batch=16,
    crop_frames=(1800,),
)
