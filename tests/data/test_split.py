import logging

import pytest

from bytecover_tf.data import read_tracks
from bytecover_tf.data.split import by_work, whole_test
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError


def make(works, versions=2):
    return [
        Track(f"{w}/{v}", f"w{w}", "x") for w in range(works) for v in range(versions)
    ]


def sizes(tracks):
    return [
        len({track.work for track in tracks if track.split == split})
        for split in ("train", "validation", "test")
    ]


def test_a_file_of_two_works_stays_in_the_later_split(caplog):
    tracks = [
        Track("1_0", "1", "a", "train"),
        Track("1_1", "1", "b", "train"),
        Track("2_0", "2", "a", "test"),
        Track("3_0", "3", "a", "test"),
        Track("4_0", "4", "b", "validation"),
    ]
    with caplog.at_level(logging.INFO):
        assert whole_test(tracks) == tracks[2:]
    assert "2 recordings are also in a later split" in caplog.text
    assert whole_test(tracks[:2]) == tracks[:2]


def test_a_video_of_two_works_stays_in_the_later_split_in_files_of_its_own():
    tracks = [
        Track("1_0", "1", "1_0.mp3", "train"),
        Track("1_1", "1", "1_1.mp3", "train"),
        Track("1_2", "1", "same.mp3", "train"),
        Track("2_0", "2", "2_0.mp3", "test"),
        Track("2_1", "2", "same.mp3", "test"),
    ]
    videos = {"1_0": "A", "1_1": "B", "1_2": "", "2_0": "A"}
    assert whole_test(tracks, videos) == [tracks[1], *tracks[3:]]


@pytest.mark.parametrize(
    ("works", "expected"),
    [(3, [1, 1, 1]), (4, [2, 1, 1]), (10, [8, 1, 1]), (105, [85, 10, 10])],
)
def test_sizes(works, expected):
    assert sizes(by_work(make(works))) == expected


def test_works_stay_whole_and_nothing_else_changes():
    tracks = make(30, versions=4)
    outcome = by_work(tracks)
    assert len({(track.work, track.split) for track in outcome}) == 30
    assert [(t.id, t.work, t.path, t.role) for t in outcome] == [
        (t.id, t.work, t.path, t.role) for t in tracks
    ]


def test_order_of_tracks_does_not_matter():
    tracks = make(30)
    assert set(by_work(tracks)) == set(by_work(tracks[::-1]))


def test_stable_over_machines_and_versions():
    split = {track.work: track.split for track in by_work(make(10), seed=0)}
    assert [work for work in split if split[work] == "validation"] == ["w3"]
    assert [work for work in split if split[work] == "test"] == ["w6"]


def test_one_work_more_moves_few():
    before = {track.work: track.split for track in by_work(make(200))}
    after = {track.work: track.split for track in by_work(make(201))}
    assert sum(before[work] != after[work] for work in before) <= 3


def test_seed_and_fractions():
    tracks = make(40)
    assert by_work(tracks, seed=1) != by_work(tracks, seed=2)
    assert sizes(by_work(tracks, (0.5, 0.0, 0.5))) == [20, 0, 20]
    assert sizes(by_work(tracks, (1.0, 0.0, 0.0))) == [40, 0, 0]


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.2), (1.1, -0.2, 0.1)])
def test_bad_fractions(fractions):
    with pytest.raises(DataError, match="expected to sum to 1"):
        by_work(make(10), fractions)


@pytest.mark.parametrize("works", [0, 2])
def test_too_few_works(works):
    with pytest.raises(DataError, match=f"expected at least 3 works, found {works}"):
        by_work(make(works))


def test_a_name_that_is_not_utf_8_is_divided_too():
    tracks = [*make(10), Track("x", "caf\udce9", "caf\udce9/1.mp3")]
    assert sum(sizes(by_work(tracks))) == 11


def test_a_split_that_the_data_has_is_not_lost(tmp_path):
    for split in ("train", "validation", "test"):
        (tmp_path / split / "work").mkdir(parents=True)
        (tmp_path / split / "work" / "1.mp3").touch()
    assert len(read_tracks("folder", tmp_path, None)) == 3
    with pytest.raises(DataError, match="has a split of its own; leave out"):
        read_tracks("folder", tmp_path, 0)
