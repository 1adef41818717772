from dataclasses import replace

from bytecover_tf.data.provenance import Provenance
from bytecover_tf.data.track import Track

FIRST = Provenance({"tunes": frozenset("ba")}, frozenset({"1", "2"}))
SECOND = Provenance(
    {"folder": frozenset("a"), "tunes": frozenset("c")}, frozenset({"2", "3"})
)


def test_a_merge_keeps_the_works_of_every_data_set():
    merged = FIRST.merge(SECOND)
    assert merged == SECOND.merge(FIRST) == Provenance().merge(FIRST, SECOND)
    assert merged.works == {"tunes": frozenset("abc"), "folder": frozenset("a")}
    assert merged.content == {"1", "2", "3"}
    # Neither of the two has changed.
    assert FIRST.works == {"tunes": frozenset("ab")}


def test_records_round_trip_and_those_of_one_data_set_are_read():
    merged = FIRST.merge(SECOND)
    assert merged.to_dict() == {
        "works": {"folder": ["a"], "tunes": ["a", "b", "c"]},
        "content": ["1", "2", "3"],
        "is_whole": True,
    }
    assert Provenance.from_dict(merged.to_dict()) == merged
    earlier = {"data": "tunes", "works": ["a", "b"], "content": ["1", "2"]}
    assert Provenance.from_dict(earlier) == FIRST
    assert Provenance.from_dict(None) == Provenance(is_whole=False)
    partly = merged.merge(Provenance.from_dict(None))
    assert not partly.is_whole
    assert Provenance.from_dict(partly.to_dict()) == partly


def test_what_an_older_encoder_began_as_counts_too():
    earlier = {"data": "tunes", "works": ["a", "b"], "content": ["1", "2"]}
    later = {"works": {"folder": ["a"], "tunes": ["c"]}, "content": ["2", "3"]}
    info = {"trained_on": later, "init": {"trained_on": earlier}, "teacher": None}
    assert Provenance.recorded_in(info) == FIRST.merge(SECOND)
    unknown = Provenance.recorded_in({**info, "teacher": {"trained_on": None}})
    assert unknown == replace(FIRST.merge(SECOND), is_whole=False)
    assert Provenance.recorded_in({}) == Provenance(is_whole=False)
    whole = {**info, "trained_on": {**later, "is_whole": True}}
    assert Provenance.recorded_in(whole) == SECOND


def test_works_that_were_recorded_under_another_name_are_known():
    record = {"works": {"shs100k2": ["1"], "shs100k": ["2"]}, "content": []}
    known = Provenance.from_dict(record)
    assert known.works == {"shs100k": {"1", "2"}}
    tracks = [Track("1_0", "1", "a"), Track("3_0", "3", "b")]
    for name in ("shs100k", "shs100k2"):
        assert known.overlap(name, tracks, {}) == (["1"], [])


def test_works_are_known_by_data_set_and_recordings_by_content(small_set):
    tracks, store = small_set
    content = store.content(track.path for track in tracks)
    seen = Provenance.of("folder", tracks[:4], store)
    assert seen.overlap("folder", tracks[4:], content) == ([], [])
    assert seen.overlap("folder", tracks[3:5], content) == (
        ["work 0"],
        [tracks[3].path],
    )
    other = [replace(track, work="another name") for track in tracks[2:6]]
    assert seen.overlap("tunes", other, content) == (
        [],
        [tracks[2].path, tracks[3].path],
    )
    same_name = [replace(tracks[5], work="work 0")]
    assert seen.overlap("folder", same_name, content) == (["work 0"], [])
    assert seen.overlap("tunes", same_name, content) == ([], [])


def test_packed_sets_know_the_works_of_those_that_were_read_as_tunes(small_set):
    tracks, store = small_set
    content = store.content(track.path for track in tracks)
    works = sorted({track.work for track in tracks[:5]})
    for first, second in (("tunes", "packed"), ("packed", "tunes"), ("packed",) * 2):
        seen = Provenance.of(first, tracks[:5], store)
        assert seen.overlap(second, tracks, content)[0] == works
