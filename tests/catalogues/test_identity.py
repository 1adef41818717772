import json

import pytest
from catalogue_rows import IDENTITY

from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.errors import ConfigError


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": 5},
        {"encoder_path": [1]},
        {"hearing": None},
        {"hearing_path": {}},
        {"dim": "x"},
        {"dim": 0.5},
        {"frontend": None},
        {"segmenting": 5},
        {"other": "x"},
    ],
)
def test_facts_of_another_kind_are_damage(change):
    text = IDENTITY.to_json()
    assert Identity.from_json(text, "music") == IDENTITY
    # What opens a catalogue names it in an error of these.
    with pytest.raises((TypeError, ValueError, ConfigError)):
        Identity.from_json(json.dumps({**json.loads(text), **change}), "music")
