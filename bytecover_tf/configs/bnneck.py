"""Rung 3 of the ablation: IBN blocks, BNNeck and the triplet loss.

    python -m bytecover_tf.train --config bnneck --data shs100k2 --data-root DIR

The paper's MAP on Da-TACOS / SHS100K-TEST: .698 / .802 (table 3). Rung 4, with GeM, is
the config `bytecover`. Cost as there.
"""

from bytecover_tf.training.config import Config

config = Config(pooling="average")
