import json
from dataclasses import replace

import numpy as np
import pytest
from catalogue_rows import DIM, chroma, recording, whole

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogues import open_catalogue
from bytecover_tf.cli.group_reports import write_groups
from bytecover_tf.errors import DataError
from bytecover_tf.group import main
from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.decisions import Record
from bytecover_tf.matching.grouping import Group, compared_pairs, find_groups
from bytecover_tf.matching.merging import merge_groups

# Random chroma matches itself with a score above 3, other random chroma with less
# than 2.
CALIBRATION = Calibration(-20.0, 10.0)
# Of a frame of chroma.
SECONDS = seconds_per_frame(Frontend())


def version(number, of, semitones, rng, **changes):
    """Return a recording with the chroma of another one, transposed."""
    changes.setdefault("duration", 60 * SECONDS)
    row = whole(16 + number, rng.standard_normal(DIM), **changes)
    return replace(row, chroma=np.roll(chroma(of, 60), semitones, axis=0))


def own(number):
    """Changes that make a recording a work of its own."""
    return {"work": recording(16 + number).id}


def fill(catalogue, rng):
    """Add versions {0, 1, 2}, {3, 4} and {5, 6}, and two that are alone."""
    rows = [
        version(0, 0, 0, rng, **own(0)),
        version(1, 0, 3, rng, work="Greensleeves"),
        version(2, 0, -2, rng, **own(2)),
        version(3, 3, 0, rng, **own(3)),
        version(4, 3, 6, rng, **own(4)),
        version(5, 5, 0, rng, work="one"),
        version(6, 5, 1, rng, work="other"),
        version(7, 7, 0, rng, **own(7)),
        version(8, 8, 0, rng, work="alone"),
    ]
    catalogue.add(rows)
    return [row.recording.id for row in rows]


def known(catalogue):
    return {item.id: item for item in catalogue.recordings()}


def works(catalogue):
    return {item.id: item.work for item in catalogue.recordings()}


def test_groups_are_connected_with_evidence(catalogue, rng):
    ids = fill(catalogue, rng)
    groups = find_groups(catalogue, CALIBRATION, 0.9).groups
    assert [[item.id for item in group.recordings] for group in groups] == [
        *(ids[:3], ids[3:5], ids[5:7])
    ]
    assert [group.works for group in groups] == [
        *(["Greensleeves"], [], ["one", "other"])
    ]
    first, second, third = (group.links for group in groups)
    pairs = {
        frozenset((link.recording.id, link.match.recording.id)): link for link in first
    }
    assert len(first) == len(pairs) == 3
    link = pairs[frozenset(ids[:2])]
    up = 3 if link.recording.id == ids[0] else -3
    assert link.match.transposition == up
    assert link.match.probability > 0.9
    assert (len(second), len(third)) == (1, 1)
    json.dumps([group.to_dict() for group in groups])
    assert find_groups(catalogue, CALIBRATION, 0.9, candidates=0).groups == []


def test_a_low_threshold_joins_what_it_says(catalogue, rng):
    ids = fill(catalogue, rng)
    (link,) = find_groups(catalogue, CALIBRATION, 0.9).groups[1].links
    # Probabilities are those of one among the 100 that each may be compared with.
    bias = np.log(100) - 0.2 - CALIBRATION.score * link.match.score
    doubtful = replace(CALIBRATION, bias=bias)
    groups = find_groups(catalogue, doubtful, 0.4).groups
    pairs = {each.pair: each.match for group in groups for each in group.links}
    assert 0.4 < pairs[link.pair].probability < 0.5
    assert ids[3:5] in [[item.id for item in group.recordings] for group in groups]


def test_one_that_holds_two_works_does_not_make_them_one(catalogue, rng):
    rows = [
        version(number, of, semitones, rng, **own(number))
        for number, (of, semitones) in enumerate(
            [(0, 0), (0, 3), (0, -2), (3, 0), (3, 4), (3, 1)]
        )
    ]
    medley = np.concatenate([chroma(3, 60), chroma(0, 60)], axis=1)
    twice = {"duration": 120 * SECONDS}
    rows.append(replace(version(6, 0, 0, rng, **own(6), **twice), chroma=medley))
    catalogue.add(rows)
    ids = [row.recording.id for row in rows]
    groups = find_groups(catalogue, CALIBRATION, 0.9).groups
    inside = [{item.id for item in group.recordings} for group in groups]
    assert inside == [set(ids[:3]), set(ids[3:6])]
    for members, group in zip(inside, groups, strict=True):
        assert len(group.links) == len(members) * (len(members) - 1) / 2
        assert all(members >= set(link.pair) for link in group.links)


def test_merging_names_what_has_no_name_and_no_more(catalogue, rng):
    ids = fill(catalogue, rng)
    before = works(catalogue)
    vectors = {row.key: row.embedding.tobytes() for row in catalogue.rows()}
    assert merge_groups(catalogue, find_groups(catalogue, CALIBRATION, 0.9).groups) == 3
    after = works(catalogue)
    assert [after[name] for name in ids[:3]] == ["Greensleeves"] * 3
    assert [after[name] for name in ids[3:5]] == [ids[3]] * 2
    # Two names are for a person to choose from.
    assert {name: after[name] for name in ids[5:]} == {
        name: before[name] for name in ids[5:]
    }
    assert {row.key: row.embedding.tobytes() for row in catalogue.rows()} == vectors
    assert merge_groups(catalogue, find_groups(catalogue, CALIBRATION, 0.9).groups) == 0
    assert works(catalogue) == after


def test_a_merged_group_grows(catalogue, rng):
    ids = fill(catalogue, rng)
    merge_groups(catalogue, find_groups(catalogue, CALIBRATION, 0.9).groups)
    # By its id it would come first, but two recordings have the other name already.
    late = version(9, 3, 2, rng, id="0" * 16, work="0" * 16)
    catalogue.add([late])
    assert merge_groups(catalogue, find_groups(catalogue, CALIBRATION, 0.9).groups) == 1
    assert works(catalogue)["0" * 16] == ids[3]
    # What has one work stays together without links.
    groups = find_groups(catalogue, Calibration(-99.0, 0.0), 0.9).groups
    assert [len(group.recordings) for group in groups] == [3, 3]
    assert not any(group.links for group in groups)


def test_a_group_of_several_names_has_no_work():
    named = [recording(n, work=w) for n, w in enumerate(["b", "a", "a"])]
    assert Group(named).work is None
    assert Group(named[1:]).work == "a"


def test_command(catalogue, address, rng, tmp_path, capsys):
    ids = fill(catalogue, rng)
    files = [tmp_path / name for name in ("fit.json", "groups.json", "links.csv")]
    CALIBRATION.save(files[0])
    options = ["--catalogue", address]
    for option, file in zip(("--calibration", "--json", "--csv"), files, strict=True):
        options += [option, str(file)]
    assert main(options) == 0
    told = capsys.readouterr().out
    assert "work Greensleeves (3 recordings)" in told
    assert "several works, which are not merged: one, other (2 recordings)" in told
    assert "3 groups of 7 recordings" in told
    groups = json.loads(files[1].read_text())
    assert [len(group["recordings"]) for group in groups] == [3, 2, 2]
    assert len(files[2].read_text().splitlines()) == 1 + 3 + 1 + 1
    header = files[2].read_text().splitlines()[0]
    links = [link for group in groups for link in group["links"]]
    assert header.split(",") == ["group", "work", *links[0]]
    none = tmp_path / "none.csv"
    write_groups([], None, none)
    assert none.read_text() == header + "\n"
    assert works(catalogue)[ids[0]] == ids[0]

    assert main([*options, "--merge"]) == 0
    assert "3 recordings have another work now" in capsys.readouterr().out
    assert main([*options, "--merge"]) == 0
    assert "0 recordings have another work now" in capsys.readouterr().out
    with open_catalogue(address) as opened:
        assert works(opened)[ids[0]] == "Greensleeves"
    with pytest.raises(SystemExit):
        main([*options, "--threshold", "2"])


def album(rng, *parts):
    """Return a recording of several others, one after the other."""
    seconds = len(parts) * 60 * SECONDS
    row = whole(99, rng.standard_normal(DIM), duration=seconds, work="album")
    joined = np.concatenate([chroma(part, 60) for part in parts], axis=1)
    recorded = replace(row.recording, work=row.recording.id)
    return replace(row, recording=recorded, chroma=joined)


def test_an_album_in_one_file_makes_no_work_of_its_tracks(catalogue, rng):
    ids = fill(catalogue, rng)
    whole_album = album(rng, 0, 3, 7, 8)
    catalogue.add([whole_album])
    groups = find_groups(catalogue, CALIBRATION, 0.9).groups
    assert [[item.id for item in group.recordings] for group in groups] == [
        *(ids[:3], ids[3:5], ids[5:7])
    ]
    merge_groups(catalogue, groups)
    found = works(catalogue)
    assert found[whole_album.recording.id] == whole_album.recording.id
    assert found[ids[0]] != found[ids[3]]


@pytest.mark.parametrize("parts", [(0, 3, 7), (2, 6)])
def test_a_medley_as_long_as_its_tracks_makes_no_work_of_them(catalogue, rng, parts):
    tracks = [version(number, number, 0, rng, **own(number)) for number in parts]
    share = 60 // len(parts)
    pieces = [chroma(number, 60)[:, 20 : 20 + share] for number in parts]
    medley = version(9, 9, 0, rng, **own(9))
    medley = replace(medley, chroma=np.concatenate(pieces, axis=1))
    catalogue.add([*tracks, medley])
    # All are found in it, and none is a version of it.
    links = list(compared_pairs(catalogue, CALIBRATION, known(catalogue), 99, 1))
    sure = [link for link in links if link.match.probability > 0.9]
    assert {link.pair for link in sure} == {
        tuple(sorted((row.recording.id, medley.recording.id))) for row in tracks
    }
    assert all(link.is_part for link in sure)
    assert find_groups(catalogue, CALIBRATION, 0.9).groups == []


def test_each_pair_is_compared_once_if_either_is_near_the_other(catalogue, rng):
    rows = [version(number, number, 0, rng, **own(number)) for number in range(12)]
    catalogue.add(rows)
    vectors = np.stack([row.embedding for row in rows])
    order = np.argsort(-(vectors @ vectors.T), axis=1)
    near = {
        tuple(sorted((rows[one].recording.id, rows[other].recording.id)))
        for one in range(12)
        for other in order[one, 1:4].tolist()
    }
    # Some are near to one that has others nearer to it.
    assert 18 < len(near) < 36
    links = compared_pairs(catalogue, CALIBRATION, known(catalogue), 3, 1)
    assert sorted(link.pair for link in links) == sorted(near)


def test_a_version_that_leaves_some_out_is_one(catalogue, rng):
    longer, shorter = (version(number, 0, 0, rng, **own(number)) for number in (0, 1))
    other = np.concatenate([chroma(0, 60)[:, 12:], chroma(8, 12)], axis=1)
    shorter = replace(shorter, chroma=other)
    catalogue.add([longer, shorter])
    (group,) = find_groups(catalogue, CALIBRATION, 0.9).groups
    assert [link.is_part for link in group.links] == [False]


def test_merges_can_be_undone_one_by_one(catalogue, rng, tmp_path):
    fill(catalogue, rng)
    record = Record(catalogue, tmp_path / "kept.json")
    before = works(catalogue)
    assert (
        merge_groups(catalogue, find_groups(catalogue, CALIBRATION, 0.9).groups, record)
        == 3
    )
    between = works(catalogue)
    some = list(catalogue.recordings())[:2]
    assert merge_groups(catalogue, [Group(some)], record) >= 1
    changed = some[0].id
    catalogue.update([replace(some[0], work="said since")])
    record.undo()
    assert works(catalogue) == {**between, changed: "said since"}
    catalogue.update([replace(some[0], work=between[changed])])
    assert record.undo()[1] == 3
    assert works(catalogue) == before
    with pytest.raises(DataError, match=r"kept\.json: there is no decision to undo"):
        record.undo()
