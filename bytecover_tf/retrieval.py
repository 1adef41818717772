"""The former name of `bytecover_tf.catalogues`."""

from bytecover_tf.catalogues import *  # noqa: F403
