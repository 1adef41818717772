"""Rung 2 of the ablation: the baseline with IBN blocks.

    python -m bytecover_tf.train --config ibn --data shs100k2 --data-root DIR

The paper's MAP on Da-TACOS / SHS100K-TEST: .617 / .734 (table 3). Rung 4, with GeM, is
the config `bytecover`. Cost as there.
"""

from bytecover_tf.training.config import Config

config = Config(pooling="average", bnneck=False, margin=None)
