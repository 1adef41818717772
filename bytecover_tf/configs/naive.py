"""Both losses on one feature, without BNNeck between them (section 2.2).

    python -m bytecover_tf.train --config naive --data shs100k2 --data-root DIR

The paper says that this does not help, without a figure. GeM and IBN as in
`bytecover`. Cost as there.
"""

from bytecover_tf.training.config import Config

config = Config(bnneck=False)
