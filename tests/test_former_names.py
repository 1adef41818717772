"""Modules that have moved are found under the names that programs know."""

import bytecover_tf
from bytecover_tf import audio, catalogues, retrieval, tags
from bytecover_tf.catalogues import tags as moved


def test_what_moved_is_the_same():
    assert retrieval.open_catalogue is catalogues.open_catalogue
    assert retrieval.Identity is catalogues.Identity
    assert tags.read_tags is moved.read_tags
    assert audio.load_audio is bytecover_tf.load_audio
