"""Rung 1 of the ablation: ResNet50, average pooling, classification only.

    python -m bytecover_tf.train --config baseline --data shs100k2 --data-root DIR

The paper's MAP on Da-TACOS / SHS100K-TEST: .546 / .683 (table 3). Rung 4, with GeM, is
the config `bytecover`. Cost as there.
"""

from bytecover_tf.training.config import Config

config = Config(ibn=False, pooling="average", bnneck=False, margin=None)
