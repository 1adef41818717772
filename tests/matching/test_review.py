import json
import threading
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from catalogue_rows import DIM, chroma, recording, whole

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogues import open_catalogue
from bytecover_tf.errors import ConfigError, DataError
from bytecover_tf.matching import calibration_fit, decisions, review
from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.decisions import Record, pair_of
from bytecover_tf.matching.grouping import find_groups
from bytecover_tf.matching.identification import Query, align_hits, nearest
from bytecover_tf.matching.merging import merge_groups
from bytecover_tf.matching.questions import (
    find_question,
    keep_queue,
    known_pairs,
    queue,
)

# Random chroma matches itself with a score above 3, other random chroma with less
# than 2.
CALIBRATION = Calibration(-20.0, 10.0, unsure=0.3)
SECONDS = seconds_per_frame(Frontend())
# Above what a match can have: every link is a question.
NEVER = 1.1


def version(number, of, semitones, rng, **changes):
    """Return a recording with the chroma of another one, transposed."""
    name = recording(16 + number).id
    changes = {"duration": 60 * SECONDS, "work": name, **changes}
    row = whole(16 + number, rng.standard_normal(DIM), **changes)
    return replace(row, chroma=np.roll(chroma(of, 60), semitones, axis=0))


@pytest.fixture
def record(catalogue, tmp_path):
    return Record(catalogue, tmp_path / "kept.json")


@pytest.fixture
def ids(catalogue, rng):
    """Versions {0, 1, 2} and {3, 4}, and one that is alone."""
    rows = [
        version(number, of, 2 * number, rng)
        for number, of in enumerate([0, 0, 0, 3, 3, 5])
    ]
    catalogue.add(rows)
    return [row.recording.id for row in rows]


def works(catalogue):
    return {item.id: item.work for item in catalogue.recordings()}


def fill_queue(catalogue, record, threshold=NEVER):
    verdicts = record.verdicts()
    found = find_groups(catalogue, CALIBRATION, threshold, verdicts=verdicts)
    keep_queue(record, found.open)
    return found


def test_what_is_unsure_is_asked(catalogue, record, ids):
    found = fill_queue(catalogue, record)
    assert found.groups == []
    questions = queue(catalogue, record)
    assert {question.pair for question in questions} == {
        *((ids[0], ids[1]), (ids[0], ids[2]), (ids[1], ids[2])),
        (ids[3], ids[4]),
    }
    assert {question.reason for question in questions} == {"unsure"}
    sure = [question.evidence["probability"] for question in questions]
    assert sure == sorted(sure, reverse=True)
    (last,) = (each for each in questions if each.pair == (ids[3], ids[4]))
    up = 2 if last.first.id == ids[3] else -2
    assert last.evidence["transposition"] == up
    assert last.to_dict()["first"]["path"] == last.first.path
    # Nothing is asked when all is sure.
    fill_queue(catalogue, record, 0.9)
    assert queue(catalogue, record) == []


def test_accepting_makes_one_work_and_later_runs_know(catalogue, record, ids):
    fill_queue(catalogue, record)
    before = works(catalogue)
    review.decide(catalogue, ids[:2], True, record=record)
    assert works(catalogue) == {**before, ids[1]: ids[0]}
    review.decide(catalogue, (ids[2], ids[1]), True, "Greensleeves", record)
    assert works(catalogue) == before | dict.fromkeys(ids[:3], "Greensleeves")
    assert [each.pair for each in queue(catalogue, record)] == [tuple(ids[3:5])]
    # As if the works had been lost: what was said is not.
    catalogue.update([replace(item, work=item.id) for item in catalogue.recordings()])
    (group,) = fill_queue(catalogue, record).groups
    assert [item.id for item in group.recordings] == ids[:3]


def test_rejecting_keeps_recordings_apart(catalogue, record, ids):
    fill_queue(catalogue, record)
    review.decide(catalogue, (ids[4], ids[3]), False, record=record)
    review.decide(catalogue, (ids[0], ids[2]), False, record=record)
    found = fill_queue(catalogue, record, 0.9)
    # 1 is a version of both, which cannot be: it goes with the one, not with the other.
    (group,) = found.groups
    assert len(group.recordings) == 2
    assert ids[1] in {item.id for item in group.recordings}
    assert merge_groups(catalogue, found.groups, record) == 1
    assert works(catalogue)[ids[3]] != works(catalogue)[ids[4]]
    assert queue(catalogue, record) == []


def retag(catalogue, name, **changes):
    """Give a recording another id, as other tags do; return that."""
    (row,) = catalogue.rows([name])
    new = replace(row.recording, id=name[::-1], content=name[::-1] * 4, **changes)
    catalogue.add([replace(row, recording=new)])
    catalogue.remove([name])
    return new.id


def test_a_question_keeps_its_number_when_tags_are_written(catalogue, record, ids):
    fill_queue(catalogue, record)
    before = {each.pair: each.number for each in queue(catalogue, record)}
    new = retag(catalogue, ids[3])
    after = {each.pair: each.number for each in queue(catalogue, record)}
    assert after[pair_of(new, ids[4])] == before[pair_of(*ids[3:5])]
    fill_queue(catalogue, record)
    assert {each.pair: each.number for each in queue(catalogue, record)} == after


def test_decisions_follow_files_that_were_retagged_before(catalogue, record, ids):
    """As by `tag --write`, after which the file is moved."""
    fill_queue(catalogue, record)
    review.decide(catalogue, ids[3:5], False, record=record)
    new = retag(catalogue, ids[3])
    record.follow({})
    (row,) = catalogue.rows([new])
    catalogue.update([replace(row.recording, path="/moved/3.flac")])
    assert record.verdicts().rejected == {pair_of(new, ids[4])}


def test_nothing_is_read_for_recordings_without_decisions(
    catalogue, record, ids, monkeypatch
):
    fill_queue(catalogue, record)
    review.decide(catalogue, ids[3:5], False, record=record)
    monkeypatch.setattr(catalogue, "recordings", lambda: pytest.fail("read"))
    record.follow({ids[0]: "another"})


def test_decisions_follow_files(catalogue, record, ids):
    fill_queue(catalogue, record)
    review.decide(catalogue, ids[3:5], False, record=record)
    merged = review.decide(catalogue, ids[:2], True, "Song", record)
    # One is moved and retagged later, another at once.
    items = {each.id: each for each in catalogue.recordings()}
    moved = replace(items[ids[3]], path="/moved/3.flac")
    catalogue.update([moved])
    record.follow({})
    new = retag(catalogue, ids[3])
    other = retag(catalogue, ids[0], path="/moved/0.flac")
    record.follow({ids[0]: other})
    assert record.verdicts().rejected == {pair_of(new, ids[4])}
    assert record.verdicts().accepted == {pair_of(other, ids[1])}
    undone, count = review.undo(catalogue, record)
    assert (undone.action, undone.time, count) == ("accept", merged.time, 2)
    assert "Song" not in works(catalogue).values()


def test_a_name_counts_more_than_identifiers(catalogue, record, ids):
    items = {each.id: each for each in catalogue.recordings()}
    named = [replace(items[ids[0]], work="Yesterday")]
    uuid = "b1df2cf3-69a9-3bc0-be44-f71e79b27a22"
    named += [replace(items[name], work=uuid) for name in ids[1:4]]
    catalogue.update(named)
    review.decide(catalogue, ids[:2], True, record=record)
    assert [works(catalogue)[name] for name in ids[:4]] == ["Yesterday"] * 4


def test_what_is_decided_while_groups_are_looked_for_stays(catalogue, record, ids):
    found = fill_queue(catalogue, record, 0.9)
    assert sorted(len(group.recordings) for group in found.groups) == [2, 3]
    review.decide(catalogue, ids[:2], True, "Greensleeves", record)
    review.decide(catalogue, ids[3:5], False, record=record)
    decided = works(catalogue)
    assert merge_groups(catalogue, found.groups, record) == 0
    assert works(catalogue) == decided


def test_of_links_between_two_works_one_is_asked(catalogue, record, ids):
    review.merge(catalogue, ids[:2], "one", record)
    fill_queue(catalogue, record)
    pairs = [each.pair for each in queue(catalogue, record)]
    assert len(pairs) == 2
    (pair,) = (pair for pair in pairs if ids[2] in pair)
    review.decide(catalogue, pair, False, record=record)
    assert [each.pair for each in queue(catalogue, record)] == [tuple(ids[3:5])]
    everything = queue(catalogue, record, with_decided=True)
    assert {each.pair: each.verdict for each in everything}[pair] == "reject"
    number = next(each.number for each in everything if each.pair == pair)
    assert find_question(catalogue, number, record).pair == pair
    with pytest.raises(DataError, match="expected the number of a question"):
        find_question(catalogue, 99, record)


def test_two_named_works_in_a_group_are_a_question(catalogue, record, ids, rng):
    named = {ids[3]: "one", ids[4]: "other"}
    for item in list(catalogue.recordings()):
        catalogue.update([replace(item, work=named.get(item.id, item.work))])
    found = fill_queue(catalogue, record, 0.9)
    assert [each.reason for each in found.open] == ["several works"]
    (question,) = queue(catalogue, record)
    review.decide(catalogue, question.pair, True, record=record)
    # Of two names with as many recordings, the first.
    assert [works(catalogue)[name] for name in ids[3:5]] == ["one", "one"]


def test_an_album_and_its_track_are_a_question(catalogue, record, ids, rng):
    album = np.concatenate([chroma(5, 60), chroma(7, 60), chroma(8, 60)], axis=1)
    row = version(6, 0, 0, rng, duration=180 * SECONDS)
    catalogue.add([replace(row, chroma=album)])
    found = fill_queue(catalogue, record, 0.9)
    assert [(each.reason, each.link.pair) for each in found.open] == [
        ("part", (ids[5], row.recording.id))
    ]


def test_questions_keep_their_numbers(catalogue, record, ids):
    fill_queue(catalogue, record)
    before = {each.pair: each.number for each in queue(catalogue, record)}
    assert sorted(before.values()) == [1, 2, 3, 4]
    catalogue.remove([ids[0]])
    assert set(before) - {each.pair for each in queue(catalogue, record)} == {
        *((ids[0], ids[1]), (ids[0], ids[2])),
    }
    fill_queue(catalogue, record)
    after = {each.pair: each.number for each in queue(catalogue, record)}
    assert after == {pair: before[pair] for pair in after}
    assert len(after) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"next": "x"},
        {"links": 5},
        {"links": [5]},
        {"links": [{}]},
        {"number": "x"},
        {"pair": 5},
        {"first": []},
        {"evidence": {}},
        {"probability": "x"},
        {"transposition": 0.5},
        {"query_start": float("nan")},
    ],
)
def test_a_damaged_queue_names_its_file(catalogue, record, ids, change):
    fill_queue(catalogue, record)
    (path,) = record.path.parent.glob("kept-queue.json")
    values = json.loads(path.read_text())
    entry = values["links"][0]
    for part in (values, entry, entry["evidence"]):
        part.update({name: change[name] for name in part.keys() & change.keys()})
    path.write_text(json.dumps(values))
    for read in (
        lambda: queue(catalogue, record),
        lambda: keep_queue(record, []),
    ):
        with pytest.raises(DataError, match=r"kept-queue\.json: expected a queue"):
            read()


def test_splitting_takes_recordings_out_for_good(catalogue, record, ids):
    found = find_groups(catalogue, CALIBRATION, 0.9)
    merge_groups(catalogue, found.groups, record)
    merged = works(catalogue)
    assert len({merged[name] for name in ids[:3]}) == 1
    first = merged[ids[0]]  # a recording's id, which the work is called by
    rest = [name for name in ids[:3] if name != first]
    review.split(catalogue, [first], record=record)
    now = works(catalogue)
    assert now[first] == first
    assert {now[name] for name in rest} == {rest[0]}
    again = fill_queue(catalogue, record, 0.9)
    assert first not in {item.id for group in again.groups for item in group.recordings}
    review.undo(catalogue, record)
    assert works(catalogue) == merged
    review.split(catalogue, rest, "another", record)
    assert [works(catalogue)[name] for name in rest] == ["another"] * 2


def test_who_is_split_from_a_work_again_is_alone(catalogue, record, ids):
    review.merge(catalogue, ids[:2], record=record)
    called = works(catalogue)[ids[0]]
    first, second = sorted(ids[:2], key=lambda name: name != called)
    review.split(catalogue, [first], "named", record)
    review.merge(catalogue, [first, ids[2]], "named", record)
    assert works(catalogue)[second] == first
    review.split(catalogue, [first], record=record)
    now = works(catalogue)
    assert (now[first], now[second], now[ids[2]]) == (first, second, "named")
    review.undo(catalogue, record)
    assert works(catalogue)[second] == first


def test_the_same_identifier_joins_none_that_were_kept_apart(catalogue, record, ids):
    held = {item.id: item for item in catalogue.recordings()}
    named = [replace(held[name], iswc="T0345246801") for name in ids[:3]]
    catalogue.update(named)
    least, *others = sorted(ids[:3])
    review.decide(catalogue, tuple(others), False, record=record)
    found = find_groups(catalogue, CALIBRATION, NEVER, verdicts=record.verdicts())
    (group,) = found.groups
    assert {item.id for item in group.recordings} == {least, others[0]}
    # Whoever comes first may be the one that is no version.
    review.undo(catalogue, record)
    for other in others:
        review.decide(catalogue, (least, other), False, record=record)
    found = find_groups(catalogue, CALIBRATION, NEVER, verdicts=record.verdicts())
    (group,) = found.groups
    assert {item.id for item in group.recordings} == {*others}


def test_what_cannot_be_is_refused(catalogue, record, ids):
    review.merge(catalogue, ids[:2], "one", record)
    before = works(catalogue)
    for wrong, text in [
        (lambda: review.decide(catalogue, ids[:2], False, record=record), "split them"),
        (lambda: review.merge(catalogue, ids[:1], record=record), "two recordings"),
        (lambda: review.merge(catalogue, [ids[0], "x"], record=record), "found x"),
        (lambda: review.split(catalogue, ids[:2], record=record), "some of"),
        (lambda: review.split(catalogue, ids[1:3], record=record), "some of"),
        (lambda: review.split(catalogue, ids[:1], "one", record), "work other than"),
    ]:
        with pytest.raises(DataError, match=text):
            wrong()
    assert works(catalogue) == before
    assert len(record.read()) == 1


def test_all_is_undone_step_by_step(catalogue, record, ids):
    fill_queue(catalogue, record)
    asked = [each.pair for each in queue(catalogue, record)]
    states = [works(catalogue)]
    review.decide(catalogue, ids[:2], True, record=record)
    states.append(works(catalogue))
    review.decide(catalogue, ids[3:5], False, record=record)
    review.merge(catalogue, ids[1:4], "both", record)
    states.append(works(catalogue))
    review.split(catalogue, [ids[1]], record=record)
    actions = []
    for state in [states[2], states[1], states[1], states[0]]:
        decision, _ = review.undo(catalogue, record)
        actions.append(decision.action)
        assert works(catalogue) == state
    assert actions == ["split", "merge", "reject", "accept"]
    assert [each.pair for each in queue(catalogue, record)] == asked
    with pytest.raises(DataError, match=r"kept\.json: there is no decision to undo"):
        review.undo(catalogue, record)


def test_a_work_given_since_is_kept(catalogue, record, ids):
    review.merge(catalogue, ids[:3], "one", record)
    changed = next(item for item in catalogue.recordings() if item.id == ids[1])
    catalogue.update([replace(changed, work="said since")])
    _, count = review.undo(catalogue, record)
    assert count == 2
    assert works(catalogue)[ids[1]] == "said since"
    assert works(catalogue)[ids[0]] == ids[0]


def test_a_file_with_new_tags_is_known_again(catalogue, record, ids):
    fill_queue(catalogue, record)
    review.decide(catalogue, ids[3:5], False, record=record)
    review.merge(catalogue, ids[:2], "one", record)
    for name in (ids[3], ids[0]):
        (row,) = catalogue.rows([name])
        tagged = replace(row.recording, id=f"f{name[1:]}", content=f"f{name[1:]:0>63}")
        catalogue.add([replace(row, recording=tagged, digest="")])
        catalogue.remove([name])
    (group,) = find_groups(
        catalogue, CALIBRATION, 0.9, verdicts=record.verdicts()
    ).groups
    assert ids[4] not in {item.id for item in group.recordings}
    assert review.undo(catalogue, record)[1] == 2
    # Another recording in its place is another one.
    (row,) = catalogue.rows([ids[4]])
    other = replace(row.recording, id="e" * 16, content="e" * 64, duration=9.0)
    catalogue.add([replace(row, recording=other, digest="")])
    catalogue.remove([ids[4]])
    assert record.verdicts().rejected == set()


def test_a_calibration_knows_what_was_said(catalogue, record, ids, monkeypatch):
    def align(catalogue, encoder, query, *_):
        hits = nearest(catalogue, query.features, 99)
        return align_hits(catalogue, query, hits, 6)

    monkeypatch.setattr(calibration_fit, "align_candidates", align)
    fill_queue(catalogue, record)
    review.decide(catalogue, ids[:2], True, record=record)
    review.decide(catalogue, (ids[0], ids[2]), False, record=record)
    accepted, undecided = known_pairs(catalogue, record)
    assert (accepted, undecided) == ({tuple(ids[:2])}, {tuple(ids[3:5])})
    # No work has a name; that of two recordings is known all the same.
    chosen = calibration_fit._versions(catalogue, accepted)
    assert [item.id for item in chosen] == ids[:2]
    assert calibration_fit._versions(catalogue, ()) == []
    rows = sorted(catalogue.rows(), key=lambda row: row.key)
    queries = [
        (row.recording, Query("", row.embedding[None], row.chroma)) for row in rows
    ]
    _, labels = calibration_fit.measure(catalogue, None, queries, undecided=undecided)
    # Six with five others each, but one pair in both directions; one is of versions.
    assert (len(labels.query), labels.is_version.sum()) == (28, 2)


def test_all_versions_of_two_works_are_undecided_while_one_question_is_open(
    catalogue, record, ids
):
    items = {each.id: each for each in catalogue.recordings()}
    named = [replace(items[ids[0]], work="Hey Jude")]
    named += [replace(items[name], work="Hey, Jude") for name in ids[1:3]]
    catalogue.update(named)
    fill_queue(catalogue, record)
    assert sum(ids[0] in each.pair for each in queue(catalogue, record)) == 1
    _, undecided = known_pairs(catalogue, record)
    assert undecided == {
        pair_of(ids[0], ids[1]), pair_of(ids[0], ids[2]), pair_of(ids[3], ids[4])
    }  # fmt: skip


def test_what_changes_and_says_nothing_is_not_kept(catalogue, record, ids):
    review.decide(catalogue, ids[:2], True, record=record)
    before = record.read()
    record.take(lambda recordings: decisions.Decision("group", {}))
    assert record.read() == before


class _Killed(BaseException):
    pass


def test_a_kill_at_any_moment_loses_nothing(catalogue, record, ids, monkeypatch):
    """Cut a decision and its undoing off at each write; go on; end as if uncut."""
    write, update = decisions.write_atomically, catalogue.update
    left = [99]

    def count_down():
        left[0] -= 1
        if left[0] < 0:
            raise _Killed

    def counted_write(path, content):
        count_down()
        write(path, content)

    def counted_update(recordings):
        count_down()
        update(recordings)

    monkeypatch.setattr(decisions, "write_atomically", counted_write)
    monkeypatch.setattr(catalogue, "update", counted_update)
    start = works(catalogue)
    expected = start | dict.fromkeys(ids[:2], "one")
    for writes in range(4):
        left[0] = writes
        with pytest.raises(_Killed) if writes < 3 else nullcontext():
            review.decide(catalogue, ids[:2], True, "one", record)
        left[0] = 99
        if not record.read():
            assert writes == 0
            review.decide(catalogue, ids[:2], True, "one", record)
        # Whatever is decided next finishes what was begun.
        review.decide(catalogue, (ids[2], ids[5]), False, record=record)
        assert works(catalogue) == expected
        assert [each.action for each in record.read()] == ["accept", "reject"]
        review.undo(catalogue, record)
        left[0] = writes
        with pytest.raises(_Killed) if writes < 2 else nullcontext():
            review.undo(catalogue, record)
        left[0] = 99
        if record.read():
            review.undo(catalogue, record)
        assert works(catalogue) == start


def test_those_who_decide_at_once_take_turns(address, catalogue, record, ids):
    errors = []

    def work(number):
        try:
            with open_catalogue(address) as opened:
                mine = Record(opened, record.path)
                for _ in range(3):
                    review.merge(opened, [ids[number], ids[5]], record=mine)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(record.read()) == 9
    now = works(catalogue)
    assert len({now[ids[number]] for number in (0, 1, 2, 5)}) == 1


def test_a_server_needs_a_named_record(catalogue, tmp_path):
    with pytest.raises(ConfigError, match="--record"):
        Record(replace_address(catalogue))
    (tmp_path / "kept.json").write_text('{"decisions": [{"action": 1}]}')
    with pytest.raises(DataError, match=r"kept\.json: not a record of decisions"):
        Record(catalogue, tmp_path / "kept.json").read()


def replace_address(catalogue):
    catalogue.address = "milvus://host:19530/music"
    return catalogue
