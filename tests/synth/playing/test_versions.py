import pytest
from random_tunes import tune

from bytecover_tf.errors import DataError
from bytecover_tf.synth.playing.versions import (
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    arranged,
    list_versions,
    read_versions,
    write_versions,
)
from bytecover_tf.synth.scores.works import Work


def works(count):
    return [Work(f"w{i}", "train", (tune(i),)) for i in range(count)]


def test_versions_are_named_and_seeded_by_work_and_number():
    versions = list_versions(works(20), 3, seed=0)
    again = list_versions(works(20)[5:], 3, seed=0)
    assert versions[15:] == again
    assert len({v.seed for v in versions}) == len(versions) == 60
    assert versions[1].id == "w0-1"


def test_a_version_takes_turns_with_the_works_scores():
    work = Work("w", "train", (tune(0), tune(1)))
    titles = [v.score.title for v in list_versions([work], 3, 0)]
    assert titles == ["Tune 0", "Tune 1", "Tune 0"]


def test_a_version_is_played_alike_whenever_it_is_arranged():
    first, second = list_versions(works(1), 2, seed=0)
    performance, style, rng = arranged(first)
    again, same_style, same_rng = arranged(first)
    assert (performance, style) == (again, same_style)
    assert rng.random() == same_rng.random()
    assert SHORTEST_SECONDS <= performance.duration <= LONGEST_SECONDS
    assert arranged(second)[0] != performance


def test_versions_come_back_from_their_file(tmp_path):
    one, two = (
        Work("w", "train", (tune(0), tune(1))),
        Work("x", "validation", (tune(0),)),
    )
    versions = list_versions([one, two], 4, seed=3)
    path = tmp_path / "versions.jsonl.xz"
    write_versions(path, versions)
    found = read_versions(path)
    assert sorted(found, key=lambda v: v.id) == versions
    # A score stands there once for all of its versions.
    assert [v.id for v in found] == [
        *("w-0", "w-2", "w-1", "w-3"),
        *("x-0", "x-1", "x-2", "x-3"),
    ]


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_a_file_that_is_missing_or_damaged_is_named(tmp_path, content):
    path = tmp_path / "versions.jsonl.xz"
    if content is not None:
        write_versions(path, list_versions(works(1), 1, 0))
        path.write_bytes(content or path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"versions\.jsonl\.xz: (no such|damaged)"):
        read_versions(path)
