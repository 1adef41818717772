import json
import multiprocessing
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from catalogue_rows import DIM, IDENTITY, recording, unit, whole

from bytecover_tf.audio.chroma import HEARD_PARTS
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING, Hearing
from bytecover_tf.catalogues import Identity, Row, Segmenting, open_catalogue
from bytecover_tf.catalogues.catalogue import CatalogueMissing
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.errors import CatalogueError, EncoderError, FrontendMismatch
from bytecover_tf.files import content_hash


def by_key(catalogue):
    return {row.key: row for row in catalogue.rows()}


def assert_same_rows(found, expected):
    assert found.keys() == {row.key for row in expected}
    for row in expected:
        stored = found[row.key]
        assert stored.recording == row.recording
        assert (stored.segment, stored.start, stored.end) == (
            row.segment,
            row.start,
            row.end,
        )
        np.testing.assert_array_equal(stored.embedding, row.embedding)
        if row.chroma is None:
            assert stored.chroma is None
        else:
            np.testing.assert_array_equal(stored.chroma, row.chroma)


def test_what_is_added_comes_back(catalogue, rng):
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(5)]
    window = Row(rows[0].recording, 1, 2.5, 62.5, unit(rng.standard_normal(DIM)))
    catalogue.add([*rows, window])
    assert_same_rows(by_key(catalogue), [*rows, window])
    assert catalogue.count() == 5
    assert sorted(map(str, catalogue.recordings())) == sorted(
        str(row.recording) for row in rows
    )
    chosen = {row.key for row in catalogue.rows([rows[0].recording.id, "none", "it's"])}
    assert chosen == {rows[0].key, window.key}
    blocks = np.concatenate(list(catalogue.vectors()))
    expected = np.stack([row.embedding for row in [*rows, window]])
    assert sorted(map(tuple, blocks)) == sorted(map(tuple, expected))


def test_search_finds_the_nearest_by_cosine(catalogue, rng):
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(40)]
    catalogue.add(rows)
    queries = unit(rng.standard_normal((3, DIM)))
    matrix = np.stack([row.embedding for row in rows])
    for query, hits in zip(queries, catalogue.search(queries, 7), strict=True):
        cosines = matrix @ query
        best = np.argsort(-cosines)[:7]
        assert [hit.recording for hit in hits] == [rows[i].recording for i in best]
        found = [hit.similarity for hit in hits]
        np.testing.assert_allclose(found, cosines[best], atol=1e-5)
        assert (hits[0].segment, hits[0].start) == (0, 0.0)
        assert hits[0].end == hits[0].recording.duration
    (alone,) = catalogue.search(queries[:1], 100)
    assert len(alone) == 40
    assert catalogue.search(queries[:0]) == []


def test_chroma_comes_back_by_id(catalogue, rng):
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(9)]
    rows[3] = replace(rows[3], chroma=rng.integers(0, 256, (12, 501), np.uint8))
    window = Row(rows[3].recording, 1, 2.5, 62.5, unit(rng.standard_normal(DIM)))
    catalogue.add([*rows, window])
    ids = [row.recording.id for row in rows[2:5]]
    found = catalogue.chroma([*ids, "none", "it's"])
    assert found.keys() == set(ids)
    for row in rows[2:5]:
        stored = found[row.recording.id]
        assert (stored.dtype, stored.shape) == (np.uint8, row.chroma.shape)
        assert np.abs(stored.astype(int) - row.chroma).max() <= 8
    # A change of what is known of a recording leaves its chroma as it was.
    catalogue.update([replace(rows[3].recording, work="another")])
    np.testing.assert_array_equal(catalogue.chroma(ids)[ids[1]], found[ids[1]])
    assert catalogue.chroma([]) == {}


HEARD = replace(IDENTITY, hearing="a" * 64)
# SHA-256 of the first file of the package's network, which catalogues name.
FIRST_HEARING = "cd219948385914f77e8cf19542c1dd1798235a98c40064df947afe5d58d64574"


@pytest.mark.parametrize("frames", [30, 400])
def test_chroma_of_several_parts_comes_back(address, rng, frames):
    def heard(number):
        chroma = rng.integers(0, 256, (12 * HEARD_PARTS, frames), np.uint8)
        return replace(whole(number, rng.standard_normal(DIM)), chroma=chroma)

    rows = [heard(number) for number in range(7)]
    window = Row(rows[3].recording, 1, 2.5, 62.5, unit(rng.standard_normal(DIM)))
    with open_catalogue(address, HEARD, create=True) as made:
        made.add([*rows, window])
    with open_catalogue(address) as opened:
        assert opened.identity == HEARD
        ids = [row.recording.id for row in rows]
        chroma = opened.chroma(ids)
        assert chroma.keys() == set(ids)
        stored = by_key(opened)
        assert stored[window.key].chroma is None
        for row in rows:
            expected = np.round(row.chroma / 17) * 17
            np.testing.assert_array_equal(chroma[row.recording.id], expected)
            np.testing.assert_array_equal(stored[row.key].chroma, expected)
        # Of one part, as where no notes are heard.
        with pytest.raises(CatalogueError, match=r"chroma of shape \(60, n\)"):
            opened.add([whole(8, rng.standard_normal(DIM))])


def test_a_whole_recording_needs_chroma(catalogue, rng):
    good = whole(1, rng.standard_normal(DIM))
    for wrong in (None, good.chroma[:11], good.chroma[:, :0], good.chroma / 255):
        with pytest.raises(CatalogueError, match=r"/music/1\.flac: .*chroma"):
            catalogue.add([replace(good, chroma=wrong)])
    assert catalogue.count() == 0


def test_an_empty_catalogue_answers(catalogue):
    assert catalogue.count() == 0
    assert catalogue.search(np.ones((2, DIM)) / 4) == [[], []]
    assert list(catalogue.recordings()) == []
    assert catalogue.recall() == 1
    assert catalogue.verify().is_sound
    assert catalogue.optimize() is None


def test_adding_again_replaces(catalogue, rng):
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(4)]
    catalogue.add(rows)
    catalogue.add(rows)
    assert_same_rows(by_key(catalogue), rows)
    other = whole(2, rng.standard_normal(DIM), title="another")
    catalogue.add([other])
    assert_same_rows(by_key(catalogue), [*rows[:2], other, rows[3]])
    assert catalogue.count() == 4


def test_update_changes_what_is_known_and_keeps_embeddings(catalogue, rng):
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(4)]
    window = Row(rows[1].recording, 1, 0.0, 9.0, unit(rng.standard_normal(DIM)))
    catalogue.add([*rows, window])
    moved = replace(rows[1].recording, path="/elsewhere/ü.mp3", work="yesterday")
    catalogue.update([moved, recording(77)])
    expected = [rows[0], replace(rows[1], recording=moved), *rows[2:]]
    assert_same_rows(by_key(catalogue), [*expected, replace(window, recording=moved)])


def test_removed_recordings_are_gone_with_their_windows(catalogue, rng):
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(4)]
    window = Row(rows[1].recording, 1, 0.0, 9.0, unit(rng.standard_normal(DIM)))
    catalogue.add([*rows, window])
    catalogue.remove([rows[1].recording.id, "none", "it's"])
    catalogue.remove([])
    assert_same_rows(by_key(catalogue), [rows[0], *rows[2:]])
    (hits,) = catalogue.search(rows[1].embedding[None], 10)
    assert len(hits) == 3


def test_what_is_no_embedding_is_refused(catalogue, rng):
    good = whole(1, rng.standard_normal(DIM))
    for vector in (good.embedding[:-1], good.embedding * 2, good.embedding * np.nan):
        with pytest.raises(CatalogueError, match=r"/music/1\.flac: expected an embed"):
            catalogue.add([whole(0, good.embedding), replace(good, embedding=vector)])
    with pytest.raises(CatalogueError, match="twice"):
        catalogue.add([good, good])
    assert catalogue.count() == 0
    for queries in (np.ones((2, DIM + 1)), np.ones(DIM), np.full((1, DIM), np.nan)):
        with pytest.raises(CatalogueError):
            catalogue.search(queries)


def test_the_identity_stays_with_the_catalogue(catalogue, address):
    for other in (open_catalogue(address), open_catalogue(address, IDENTITY)):
        assert other.identity == IDENTITY
        assert other.identity.encoder_path == "/models/first"
    again = open_catalogue(address, IDENTITY, create=True)
    assert again.count() == 0


@pytest.mark.parametrize("create", [False, True])
def test_another_encoder_is_refused_with_both_named(catalogue, address, create):
    other = replace(IDENTITY, encoder="f" * 64, encoder_path="/models/second")
    with pytest.raises(CatalogueError, match="first.*eeeeeeeeeeee.*second.*ffffffff"):
        open_catalogue(address, other, create)
    windows = replace(IDENTITY, segmenting=Segmenting(60, 30))
    with pytest.raises(CatalogueError, match="whole.*windows of 60 s every 30 s"):
        open_catalogue(address, windows, create)
    with pytest.raises(
        CatalogueError,
        match="made without hearing notes, not .* aaaaaaaaaaaa",
    ):
        open_catalogue(address, HEARD, create)
    frontend = replace(IDENTITY, frontend=Frontend(pool=20))
    with pytest.raises(FrontendMismatch, match="expected 20, found 100"):
        open_catalogue(address, frontend, create)


def test_there_must_be_a_catalogue(address):
    for identity in (None, IDENTITY):
        with pytest.raises(CatalogueMissing, match="there is no catalogue"):
            open_catalogue(address, identity)


def test_approximate_search_says_how_good_it_is(catalogue, rng):
    centres = unit(rng.standard_normal((150, DIM)))
    noise = 0.3 * unit(rng.standard_normal((600, DIM)))
    vectors = unit(centres[np.arange(600) % 150] + noise)
    rows = [whole(number, vector) for number, vector in enumerate(vectors)]
    catalogue.add(rows)
    assert catalogue.optimize() is None
    assert catalogue.recall() == 1
    index = catalogue.optimize(exact_rows=300)
    assert index.rows == 600
    assert index.recall >= 0.99
    # What came after the index is found as well, and what is gone is not.
    late = whole(1000, rng.standard_normal(DIM))
    catalogue.add([late])
    catalogue.remove([rows[0].recording.id])
    found = catalogue.search(np.stack([late.embedding, rows[0].embedding]), 3)
    assert found[0][0].recording == late.recording
    assert rows[0].recording not in [hit.recording for hit in found[1]]
    assert catalogue.optimize(exact_rows=300).recall >= 0.99
    assert catalogue.optimize() is None
    assert catalogue.recall() == 1
    assert catalogue.count() == 600


def test_recall_counts_what_a_search_misses(catalogue, rng, monkeypatch):
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(50)]
    catalogue.add(rows)
    search = catalogue.search
    monkeypatch.setattr(
        catalogue, "search", lambda vectors, top: [h[3:] for h in search(vectors, top)]
    )
    assert catalogue.recall(top=10) == pytest.approx(0.7)


def test_verify_compares_with_the_files(catalogue, rng, tmp_path):
    rows, files = [], []
    for number in range(5):
        path = tmp_path / f"{number}.flac"
        path.write_bytes(bytes([number]) * 100)
        files.append(path)
        status = path.stat()
        rows.append(
            whole(
                number,
                rng.standard_normal(DIM),
                path=str(path),
                content=content_hash(path),
                size=status.st_size,
                mtime_ns=status.st_mtime_ns,
            )
        )
    whole_missing = replace(rows[4], segment=1, chroma=None)
    catalogue.add([*rows[:4], whole_missing])
    assert catalogue.verify().damaged == [str(files[4])]
    catalogue.add([rows[4]])
    names = [str(path) for path in files]
    assert catalogue.verify(names).is_sound

    files[0].unlink()
    files[1].write_bytes(b"other")
    files[2].write_bytes(files[2].read_bytes())  # another time, the same content
    (tmp_path / "copy.flac").write_bytes(files[3].read_bytes())
    (tmp_path / "new.flac").write_bytes(b"new")
    names += [str(tmp_path / "copy.flac"), str(tmp_path / "new.flac")]
    found = catalogue.verify(names[1:])
    assert found.recordings == 5
    assert found.missing == names[:1]
    assert found.changed == names[1:2]
    assert found.unindexed == names[-1:]
    assert not found.damaged
    assert not found.is_sound


def damaging(row):
    """Have a row change once its digest is made, as a disk may change it."""
    turned = row.embedding[::-1].copy()
    digest = row.to_dict()["digest"]
    return replace(row, embedding=turned, digest=digest)


def test_verify_finds_rows_that_are_not_as_they_were_stored(catalogue, rng, tmp_path):
    path = tmp_path / "music.flac"
    path.write_bytes(b"music")
    status = path.stat()
    facts = {
        "path": str(path),
        "content": content_hash(path),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
    }
    row = whole(1, rng.standard_normal(DIM), **facts)
    window = Row(row.recording, 1, 2.5, 62.5, unit(rng.standard_normal(DIM)))
    catalogue.add([row, window])
    assert catalogue.verify().is_sound
    for changed in (
        damaging(row),
        damaging(window),
        replace(row, chroma=255 - row.chroma, digest=row.to_dict()["digest"]),
    ):
        catalogue.add([row, window])
        catalogue.add([changed])
        assert catalogue.verify().damaged == [str(path)]
        # Another work does not make it sound.
        catalogue.update([replace(row.recording, work="new")])
        assert catalogue.verify().damaged == [str(path)]


def test_verify_passes_over_what_cannot_be_read(catalogue, rng, tmp_path):
    row = whole(1, rng.standard_normal(DIM), path=str(tmp_path / "turned to a pipe"))
    catalogue.add([row])
    os.mkfifo(row.recording.path)
    (tmp_path / "dangling.mp3").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.mp3")
    names = [str(tmp_path / "dangling.mp3"), str(tmp_path / "pipe.mp3")]
    found = catalogue.verify(names)
    assert found.unindexed == names
    assert found.changed == [row.recording.path]


def test_writers_in_several_processes(catalogue, address, rng):
    vectors = rng.standard_normal((60, DIM))
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    # The first 20 at the same time, then 20 of each one's own.
    writers = [
        context.Process(target=_write, args=(address, vectors, numbers, start))
        for numbers in (range(40), [*range(20), *range(40, 60)])
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    expected = [whole(number, vector) for number, vector in enumerate(vectors)]
    assert len(list(catalogue.rows())) == 60
    assert_same_rows(by_key(catalogue), expected)


def _write(address, vectors, numbers, start):
    with open_catalogue(address, IDENTITY, create=True) as catalogue:
        start.wait(60)
        for number in numbers:
            catalogue.add([whole(number, vectors[number])])


def test_identity_survives_json():
    identity = replace(IDENTITY, segmenting=Segmenting(60.0, 30.0))
    again = Identity.from_json(identity.to_json(), "music")
    assert again == identity
    assert again.encoder_path == identity.encoder_path


def test_hearing_survives_json():
    identity = replace(HEARD, hearing_path="/networks/hearing.onnx")
    assert json.loads(identity.to_json())["format"] == 3
    again = Identity.from_json(identity.to_json(), "music")
    assert again == identity
    assert again.hearing_path == "/networks/hearing.onnx"
    assert again.parts == HEARD_PARTS == 5


def test_a_catalogue_without_notes_of_before_is_read():
    # As it was written then.
    text = json.dumps(
        {
            "dim": DIM,
            "encoder": "e" * 64,
            "encoder_path": "/models/first",
            "format": 2,
            "frontend": {
                "bins_per_octave": 12,
                "fmin": 32.70319566257483,
                "hop_length": 512,
                "n_bins": 84,
                "normalization": "max",
                "pool": 100,
                "sample_rate": 22050,
                "window": "hann",
            },
            "segmenting": {"hop": 0.0, "seconds": 0.0},
        }
    )
    found = Identity.from_json(text, "music")
    assert found == IDENTITY
    assert (found.hearing, found.hearing_path, found.parts) == ("", "", 1)
    assert found.encoder_path == "/models/first"
    assert found.load_hearing("music") is None


def test_what_was_stored_without_notes_before_is_used(address, rng, monkeypatch):
    def older(identity):
        values = {"format": 2, **asdict(identity)}
        del values["hearing"], values["hearing_path"]
        return json.dumps(values)

    rows = [whole(number, rng.standard_normal(DIM)) for number in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(Identity, "to_json", older)
        with open_catalogue(address, IDENTITY, create=True) as made:
            made.add(rows[:2])
    with open_catalogue(address, IDENTITY) as opened:
        assert opened.identity == IDENTITY
        opened.add(rows[2:])
        assert_same_rows(by_key(opened), rows)
    with pytest.raises(CatalogueError, match="made without hearing notes"):
        open_catalogue(address, HEARD)


@pytest.mark.parametrize("number", [1, 4])
def test_a_catalogue_of_another_format_says_what_to_do(number):
    values = json.loads(IDENTITY.to_json())
    values["format"] = number
    if number == 1:  # it said nothing
        del values["format"]
    reason = f"music: .* format {number}, .* reads 2 and 3; index the files"
    with pytest.raises(CatalogueError, match=reason):
        Identity.from_json(json.dumps(values), "music")


class Network:
    """What an identity reads of an encoder."""

    frontend = Frontend()
    dim = DIM


def test_identity_names_what_hears(tmp_path):
    encoder = Encoder(Network(), {"encoder_sha256": "e" * 64})
    heard = Identity.of(encoder, "somewhere")
    assert heard.hearing == FIRST_HEARING
    # The one of the package, wherever it is installed.
    assert heard.hearing_path == ""
    assert heard.load_hearing("music") == DEFAULT_HEARING
    plain = Identity.of(encoder, "somewhere", hearing=None)
    assert (plain.hearing, plain.parts) == ("", 1)
    with pytest.raises(EncoderError, match=r"none\.onnx: no network that hears"):
        Identity.of(encoder, "somewhere", hearing=Hearing(str(tmp_path / "none.onnx")))


def test_a_catalogue_that_the_first_file_heard_stays_valid():
    encoder = Encoder(Network(), {"encoder_sha256": "e" * 64})
    now = Identity.of(encoder, "somewhere")
    values = {**json.loads(now.to_json()), "hearing": FIRST_HEARING}
    former = Identity.from_json(json.dumps(values), "music")
    now.check_same(former, "music")
    heard = former.load_hearing("music").hear(np.ones((252, 4), np.float32))
    assert heard.shape == (3, 84, 2)


def test_another_encoder_is_refused_by_name():
    mine, theirs = (
        Identity.of(Encoder(Network(), {"encoder_sha256": 64 * one}), "bytecover-base")
        for one in "ab"
    )
    reason = "music: .* version of the encoder bytecover-base .*bbbb.* than .*aaaa"
    with pytest.raises(CatalogueError, match=reason):
        mine.check_same(theirs, "music")
    theirs = replace(theirs, encoder_path="runs/other")
    with pytest.raises(CatalogueError, match=r"runs/other .*bbbb.*, not with .*aaaa"):
        mine.check_same(theirs, "music")


def test_another_hearing_is_refused_by_name(tmp_path, monkeypatch):
    path = tmp_path / "hearing.onnx"
    path.write_bytes(Path(DEFAULT_HEARING.path).read_bytes())
    monkeypatch.chdir(tmp_path)
    encoder = Encoder(Network(), {"encoder_sha256": "e" * 64})
    mine = Identity.of(encoder, "somewhere", hearing=Hearing("hearing.onnx"))
    assert mine.hearing_path == str(path)
    monkeypatch.chdir("/")
    assert mine.load_hearing("music") == Hearing(str(path))
    # The same network at another place is the same.
    mine.check_same(Identity.of(encoder, "somewhere"), "music")
    reason = f"music: .*SHA-256 {mine.hearing[:12]}.* than {path} .*index the files"
    path.write_bytes(b"another")
    with pytest.raises(CatalogueError, match=reason):
        mine.load_hearing("music")
    path.unlink()
    with pytest.raises(CatalogueError, match=f"music: {path}: no network that hears"):
        mine.load_hearing("music")
    other = replace(mine, hearing="b" * 64)
    with pytest.raises(
        CatalogueError, match=f"SHA-256 bbbbbbbbbbbb, not .* {mine.hearing[:12]}"
    ):
        mine.check_same(other, "music")
    plain = replace(mine, hearing="")
    with pytest.raises(CatalogueError, match="bbbbbbbbbbbb, not made without hearing"):
        plain.check_same(other, "music")


def test_addresses_of_another_kind_are_refused():
    with pytest.raises(CatalogueError, match="expected a folder or milvus://"):
        open_catalogue("http://somewhere/x", IDENTITY, create=True)


@pytest.mark.parametrize(
    "address",
    [
        "milvus://me:secret@127.0.0.1:1/music",
        "milvus://me:secret@127.0.0.1/music",
        "redis://me:secret@host:1/music",
    ],
)
def test_a_password_in_an_address_is_not_shown(address):
    if address.startswith("milvus"):
        pytest.importorskip("pymilvus")
    with pytest.raises(CatalogueError) as caught:
        open_catalogue(address)
    assert "secret" not in str(caught.value)
    assert address.replace("me:secret@", "") in str(caught.value)
