"""The paper's building blocks as Keras layers, on any Keras backend."""

from bytecover_tf.layers.bnneck import BNNeck
from bytecover_tf.layers.cqt import CQT
from bytecover_tf.layers.gem import GeM
from bytecover_tf.layers.ibn import IBN

__all__ = ["CQT", "IBN", "BNNeck", "GeM"]
