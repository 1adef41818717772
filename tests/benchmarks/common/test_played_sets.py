from types import SimpleNamespace

import pytest

from benchmarks.common.played_sets import SetMaker
from bytecover_tf.catalogues import Recording
from bytecover_tf.synth.sound.sound_effects import SAMPLE_RATE, write_sound


@pytest.fixture
def library(tmp_path, music):
    """A catalogue of two songs, one too short and one that has a cover."""
    lengths = {"long": 35, "longer": 40, "short": 10, "covered": 35}
    held = []
    for seed, (work, seconds) in enumerate(lengths.items()):
        path = tmp_path / f"{work}.flac"
        write_sound(path, music(seconds, seed))
        held.append(Recording(work, work, work, "", "", str(path), seconds, work, 0, 0))
    return SimpleNamespace(recordings=lambda: iter(held))


@pytest.fixture
def options(tmp_path, music):
    for seed, name in enumerate(("others", "talk"), start=10):
        (tmp_path / name).mkdir()
        write_sound(tmp_path / name / "one.flac", music(20, seed))
    return SimpleNamespace(others=tmp_path / "others", talk=tmp_path / "talk", seed=1)


def test_a_set_says_what_it_plays(library, options, tmp_path):
    covers = {"covered": tmp_path / "covered.flac"}
    sound, played = SetMaker.of(library, options, covers).make(120)
    assert len(sound) >= 120 * SAMPLE_RATE
    starts = [one.start for one in played]
    assert starts == sorted(starts)
    assert all(0 <= one.start < one.end <= len(sound) / SAMPLE_RATE for one in played)
    kinds = {one.work: set() for one in played}
    for one in played:
        kinds[one.work].add(one.kind)
    assert kinds.pop("covered") == {"cover"}
    assert kinds.keys() <= {"long", "longer"}
    assert set.union(*kinds.values()) <= {"copy", "medley"}
