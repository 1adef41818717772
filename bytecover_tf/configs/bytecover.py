"""ByteCover as the paper trains it: ResNet50-IBN, GeM, BNNeck, both losses.

    python -m bytecover_tf.train --config bytecover --data shs100k2 --data-root DIR

Adam at 4e-4, batches of 32, margin 0.3 (section 2.2). Expected on SHS100K-TEST:
MAP .836 (the paper, table 1). We could not reproduce it, because the recordings are not
published. Cost: 100 000 steps, about 1.6 to 2.1 s each on two CPU cores, so use a GPU.
"""

from bytecover_tf.training.config import Config

config = Config()
