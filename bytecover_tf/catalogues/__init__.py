"""Catalogues of embedded recordings, and the search in them."""

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.catalogues.opening import open_catalogue
from bytecover_tf.catalogues.rows import Hit, Recording, Row
from bytecover_tf.catalogues.segments import Segmenting

__all__ = [
    "Catalogue",
    "Hit",
    "Identity",
    "Recording",
    "Row",
    "Segmenting",
    "open_catalogue",
]
