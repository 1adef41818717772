"""The former name of `bytecover_tf.catalogues.tags`."""

from bytecover_tf.catalogues.tags import Tags, read_tags

__all__ = ["Tags", "read_tags"]
