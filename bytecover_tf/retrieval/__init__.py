"""Catalogues of embedded recordings, and the search in them."""

from bytecover_tf.retrieval.catalogue import Catalogue, open_catalogue
from bytecover_tf.retrieval.identity import Identity
from bytecover_tf.retrieval.recording import Hit, Recording, Row
from bytecover_tf.retrieval.segments import Segmenting

__all__ = [
    "Catalogue",
    "Hit",
    "Identity",
    "Recording",
    "Row",
    "Segmenting",
    "open_catalogue",
]
