from dataclasses import replace

import numpy as np
import pytest
from catalogue_rows import DIM, chroma, recording, whole

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.group import main
from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.decisions import Decision, Verdicts
from bytecover_tf.matching.duplicates import find_duplicates
from bytecover_tf.matching.grouping import find_groups

# Random chroma matches itself with a score above 3, other random chroma with less
# than 2.
CALIBRATION = Calibration(-20.0, 10.0)
FRAMES = 60
SECONDS = FRAMES * seconds_per_frame(Frontend())


def add(catalogue, rng, *sounds):
    """Add recordings of a chroma each, and return their ids."""
    rows = []
    for number, sound in enumerate(sounds):
        size = 1000 * (1 + number)
        length = SECONDS * sound.shape[1] / FRAMES
        facts = {"duration": length, "size": size, "work": recording(number).id}
        row = whole(number, rng.standard_normal(DIM), **facts)
        rows.append(replace(row, chroma=sound))
    catalogue.add(rows)
    return [row.recording.id for row in rows]


def copy(sound, rng, share=0.2):
    """The same performance on another medium."""
    other = rng.integers(0, 256, sound.shape)
    return (sound * (1 - share) + other * share).astype(np.uint8)


def played_anew(sound, tempo=0.9):
    """The same work at another tempo."""
    frames = sound.shape[1]
    at = np.arange(0, frames, tempo)[: round(frames / tempo)]
    return sound[:, at.astype(int)]


@pytest.fixture
def library(catalogue, rng):
    """Two copies of one performance, a version of it, a transposed one, a stranger."""
    sound = chroma(1, FRAMES)
    return add(
        *(catalogue, rng, sound, copy(sound, rng), played_anew(sound)),
        *(np.roll(sound, 2, axis=0), chroma(9, FRAMES)),
    )


def test_copies_are_duplicates_and_versions_are_not(catalogue, library):
    (group,) = find_duplicates(catalogue, CALIBRATION, 0.9)
    # Both last as long, so that the larger file comes first.
    assert [each.id for each in group.recordings] == [library[1], library[0]]
    assert [set(link.pair) for link in group.links] == [set(library[:2])]
    (group,) = find_groups(catalogue, CALIBRATION, 0.9).groups
    assert {each.id for each in group.recordings} == set(library[:4])


def test_the_longest_comes_first_and_a_part_is_none(catalogue, rng):
    sound = chroma(1, FRAMES)
    longer = np.concatenate([sound, chroma(2, 12)], axis=1)
    album = np.concatenate([sound, *(chroma(number, FRAMES) for number in (3, 4))], 1)
    ids = add(catalogue, rng, longer, sound, album)
    (group,) = find_duplicates(catalogue, CALIBRATION, 0.9)
    assert [each.id for each in group.recordings] == ids[:2]


def test_what_a_person_kept_apart_is_no_duplicate(catalogue, library):
    apart = Decision("reject", {}, apart=((library[0],), (library[1],)))
    places = {each.id: (each.path, each.duration) for each in catalogue.recordings()}
    verdicts = Verdicts([replace(apart, places=places)], catalogue.recordings())
    assert find_duplicates(catalogue, CALIBRATION, 0.9, verdicts=verdicts) == []


def test_the_probability_is_of_a_version_and_of_one_performance(catalogue, library):
    (group,) = find_duplicates(catalogue, CALIBRATION, 0.5)
    (link,) = group.links
    both = link.match.probability * link.match.relation.probability
    assert 0.5 < both < 1
    assert link.same_performance == both
    assert find_duplicates(catalogue, CALIBRATION, min(both * 1.01, 1.0)) == []


def test_the_command_lists_them_and_changes_nothing(
    catalogue, address, library, tmp_path, capsys
):
    before = list(catalogue.recordings())
    fit = tmp_path / "fit.json"
    CALIBRATION.save(fit)
    options = ["--catalogue", address, "--calibration", str(fit), "--duplicates"]
    assert main(options) == 0
    told = capsys.readouterr().out
    assert "one performance (2 recordings)" in told
    assert "1 performance is kept more than once; 1 duplicate takes 0.0 MB" in told
    assert list(catalogue.recordings()) == before
    with pytest.raises(SystemExit):
        main([*options, "--merge"])
