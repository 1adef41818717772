import json

import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import FrontendMismatch, StoreError
from bytecover_tf.stores.compressed import compress_rows, decompress_rows
from bytecover_tf.stores.feature_store import (
    FeatureStore,
    FeatureStoreWriter,
    compress_store,
)


@pytest.fixture
def arrays(rng):
    return {f"/a/{i}.wav": rng.random((84, 5 + i)).astype(np.float32) for i in range(6)}


def fill(path, arrays):
    with FeatureStoreWriter(path, Frontend()) as writer:
        for source, features in arrays.items():
            writer.add(source, "key" + source, features, size=1, mtime_ns=2)


def check(path, arrays):
    store = FeatureStore(path)
    assert len(store) == len(arrays)
    for source, features in arrays.items():
        np.testing.assert_array_equal(
            store.features(source), features.astype(np.float16).astype(np.float32)
        )


def test_what_is_added_is_read(tmp_path, arrays):
    fill(tmp_path, arrays)
    check(tmp_path, arrays)
    store = FeatureStore(tmp_path)
    assert store.frontend == Frontend()
    entry = store.entry("/a/3.wav")
    crop = store.rows(entry, 2, 4)
    assert crop.shape == (4, 84)
    np.testing.assert_array_equal(crop.T, arrays["/a/3.wav"][:, 2:6].astype(np.float16))
    assert store.rows(entry, 6, 10).shape == (2, 84)
    assert store.find("/a/none.wav") is None
    with pytest.raises(StoreError, match=r"none\.wav"):
        store.entry("/a/none.wav")


def test_equal_content_is_stored_once(tmp_path, arrays):
    fill(tmp_path, arrays)
    size = (tmp_path / "features.f16").stat().st_size
    with FeatureStoreWriter(tmp_path, Frontend()) as writer:
        writer.add("/b/copy.wav", "key/a/0.wav")
        with pytest.raises(StoreError, match=r"new\.wav"):
            writer.add("/b/new.wav", "another key")
    assert (tmp_path / "features.f16").stat().st_size == size
    store = FeatureStore(tmp_path)
    np.testing.assert_array_equal(
        store.features("/b/copy.wav"), store.features("/a/0.wav")
    )


def test_a_changed_file_replaces_its_entry(tmp_path, arrays):
    fill(tmp_path, arrays)
    with FeatureStoreWriter(tmp_path, Frontend()) as writer:
        writer.add("/a/0.wav", "changed", np.ones((84, 3)))
    store = FeatureStore(tmp_path)
    assert len(store) == len(arrays)
    assert store.features("/a/0.wav").shape == (84, 3)


@pytest.mark.parametrize("torn", [1, 20, 60])
def test_a_writer_killed_at_any_byte_loses_only_the_last(tmp_path, arrays, torn):
    fill(tmp_path, arrays)
    index = tmp_path / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-torn])
    with open(tmp_path / "features.f16", "ab") as data:
        data.write(b"half a row")
    *kept, last = arrays
    check(tmp_path, {source: arrays[source] for source in kept})
    with FeatureStoreWriter(tmp_path, Frontend()) as writer:
        writer.add(last, "key" + last, arrays[last])
    check(tmp_path, arrays)


def test_one_writer_at_a_time(tmp_path):
    with FeatureStoreWriter(tmp_path, Frontend()):  # noqa: SIM117
        with pytest.raises(StoreError, match="another process"):
            FeatureStoreWriter(tmp_path, Frontend())
    FeatureStoreWriter(tmp_path, Frontend()).close()


def test_another_frontend_is_refused(tmp_path, arrays):
    fill(tmp_path, arrays)
    with pytest.raises(FrontendMismatch, match="expected 20, found 100") as refused:
        FeatureStoreWriter(tmp_path, Frontend(pool=20))
    # Its lock is open no more, though the error still leads to the writer.
    FeatureStoreWriter(tmp_path, Frontend()).close()
    assert refused.tb


def test_wrong_shape_is_refused(tmp_path):
    with FeatureStoreWriter(tmp_path, Frontend()) as writer:  # noqa: SIM117
        with pytest.raises(StoreError, match=r"x\.wav: .*\(84, T\)"):
            writer.add("x.wav", "key", np.ones((83, 5)))


def test_an_empty_store_can_be_read(tmp_path):
    FeatureStoreWriter(tmp_path, Frontend()).close()
    assert len(FeatureStore(tmp_path)) == 0


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("store.json", "{", "damaged"),
        ("store.json", json.dumps({"format": 99}), "format 99"),
        ("index.jsonl", "nonsense\n", r"index\.jsonl:1"),
        ("features.f16", "", "index names"),
    ],
)
def test_damage_is_named(tmp_path, arrays, name, content, reason):
    fill(tmp_path, arrays)
    (tmp_path / name).write_text(content)
    with pytest.raises(StoreError, match=reason):
        FeatureStore(tmp_path)


def test_no_store(tmp_path):
    with pytest.raises(StoreError, match=r"store\.json"):
        FeatureStore(tmp_path / "nothing")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_what_is_not_finite_is_not_stored(tmp_path, arrays, value):
    bad = arrays["/a/0.wav"].copy()
    bad[3, 2] = value
    with FeatureStoreWriter(tmp_path, Frontend()) as writer:
        with pytest.raises(StoreError, match=r"bad\.wav: has features that are not"):
            writer.add("/a/bad.wav", "key", bad)
        writer.add("/a/0.wav", "other key", arrays["/a/0.wav"])
    np.testing.assert_allclose(
        FeatureStore(tmp_path).features("/a/0.wav"), arrays["/a/0.wav"], atol=1e-3
    )


def test_what_an_older_version_stored_is_refused_by_name(tmp_path, arrays):
    fill(tmp_path, arrays)
    entry = FeatureStore(tmp_path).entry("/a/2.wav")
    rows = np.memmap(tmp_path / "features.f16", np.float16, "r+").reshape(-1, 84)
    rows[entry.start + 1, 5] = np.nan
    rows.flush()
    store = FeatureStore(tmp_path)
    with pytest.raises(StoreError, match=r"/a/2\.wav are not finite"):
        store.rows(entry, 0, 3)
    assert store.rows(entry, 2, 3).shape == (3, 84)


def test_a_full_disk_is_named_and_loses_nothing(tmp_path, arrays):
    resource = pytest.importorskip("resource")
    fill(tmp_path, arrays)
    size = (tmp_path / "features.f16").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"features\.f16|" + str(tmp_path)) as caught:
            fill(tmp_path, {"/b/new.wav": arrays["/a/5.wav"]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(tmp_path) in caught.value.filename
    fill(tmp_path, {})  # the next writer drops what was cut
    check(tmp_path, arrays)


def damage(path, source):
    """Change one value of a recording's features to another finite one."""
    entry = FeatureStore(path).entry(source)
    rows = np.memmap(path / "features.f16", np.float16, "r+").reshape(-1, 84)
    rows[entry.start + 1, 5] = 0.25 if rows[entry.start + 1, 5] != 0.25 else 0.5
    rows.flush()


def test_a_changed_value_is_found(tmp_path, arrays):
    fill(tmp_path, arrays)
    assert FeatureStore(tmp_path).damaged() == []
    damage(tmp_path, "/a/2.wav")
    store = FeatureStore(tmp_path)
    assert [entry.source for entry in store.damaged()] == ["/a/2.wav"]
    with pytest.raises(StoreError, match=r"/a/2\.wav are damaged; extract them anew"):
        store.features("/a/2.wav")
    store.features("/a/3.wav")


def test_rows_that_a_line_does_not_mean_are_found(tmp_path, arrays):
    fill(tmp_path, arrays)
    index = tmp_path / "index.jsonl"
    index.write_text(index.read_text().replace('"start": 11,', '"start": 10,'))
    (found,) = FeatureStore(tmp_path).damaged()
    assert found.start == 10


def test_a_store_without_digests_is_read(tmp_path, arrays):
    fill(tmp_path, arrays)
    index = tmp_path / "index.jsonl"
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    for line in lines:
        assert len(line.pop("digest")) == 64
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    check(tmp_path, arrays)
    assert FeatureStore(tmp_path).damaged() == []
    fill(tmp_path, {"/b/new.wav": arrays["/a/1.wav"]})
    check(tmp_path, {**arrays, "/b/new.wav": arrays["/a/1.wav"]})


def test_rows_that_no_line_names_are_left_alone(tmp_path, arrays):
    fill(tmp_path, arrays)
    data, index = tmp_path / "features.f16", tmp_path / "index.jsonl"
    kept = data.read_bytes()
    # A list of an earlier day, say from a copy.
    index.write_bytes(b"".join(index.read_bytes().splitlines(True)[:3]))
    *_, last = arrays
    fill(tmp_path, {last: arrays[last]})
    assert data.read_bytes().startswith(kept)
    check(tmp_path, {source: arrays[source] for source in [*list(arrays)[:3], last]})


def test_a_garbled_index_makes_no_writer_drop_the_features(tmp_path, arrays):
    fill(tmp_path, arrays)
    data, index = tmp_path / "features.f16", tmp_path / "index.jsonl"
    kept, lines = data.read_bytes(), index.read_bytes()
    for garbled in (lines.replace(b"\n", b"\0"), b"\0" * len(lines), lines + b"\xffx"):
        index.write_bytes(garbled)
        with pytest.raises(StoreError, match=r"index\.jsonl"):
            fill(tmp_path, {})
        assert (data.read_bytes(), index.read_bytes()) == (kept, garbled)


def test_many_features_without_a_line_are_not_dropped(tmp_path, arrays):
    fill(tmp_path, arrays)
    hours = np.zeros((84, 8000), np.float32)
    with FeatureStoreWriter(tmp_path, Frontend()) as writer:
        writer.add("/a/long.wav", "long", hours)
    data, index = tmp_path / "features.f16", tmp_path / "index.jsonl"
    kept = data.read_bytes()
    index.write_bytes(b"")
    with pytest.raises(StoreError, match="belong to none"):
        fill(tmp_path, {})
    assert data.read_bytes() == kept
    assert index.read_bytes() == b""


def test_a_compressed_store_is_read_and_rounded(tmp_path, arrays):
    arrays["/a/0.wav"][:, 0] = 0.0
    arrays["/a/0.wav"][0, 0] = 1.0
    fill(tmp_path, arrays)
    size = (tmp_path / "features.f16").stat().st_size
    before = {entry.source: entry for entry in FeatureStore(tmp_path)}
    compress_store(tmp_path, 5)
    assert not (tmp_path / "features.f16").exists()
    assert (tmp_path / "features.f16.xz").stat().st_size < 0.8 * size
    store = FeatureStore(tmp_path)
    assert not store.damaged()
    for source, features in arrays.items():
        exact = features.astype(np.float16).astype(np.float32)
        found = store.features(source)
        np.testing.assert_allclose(found, exact, rtol=2.0**-6, atol=1e-7)
        np.testing.assert_array_equal(found == 0, exact == 0)
        assert store.entry(source).key == before[source].key
    with pytest.raises(StoreError, match="is compressed"):
        FeatureStoreWriter(tmp_path, Frontend())


def test_compressing_loses_no_more_than_it_is_told(rng):
    rows = np.abs(rng.normal(size=(30, 84))).astype(np.float16)
    rows[0, :4] = [0, 1, 65504, 6e-8]
    for dropped in (0, 3, 8):
        found = decompress_rows(compress_rows(rows, dropped), 84)
        assert found.dtype == np.float16
        np.testing.assert_allclose(
            found.astype(float),
            rows.astype(float),
            rtol=2.0 ** (dropped - 11) if dropped else 0,
            atol=2.0 ** (dropped - 25) if dropped else 0,
        )
    with pytest.raises(ValueError, match="not negative"):
        compress_rows(-rows, 0)


@pytest.mark.parametrize("damage", [slice(0, 40), slice(40, None)])
def test_a_damaged_compressed_store_is_named(tmp_path, arrays, damage):
    fill(tmp_path, arrays)
    compress_store(tmp_path, 5)
    file = tmp_path / "features.f16.xz"
    file.write_bytes(file.read_bytes()[damage])
    with pytest.raises(StoreError, match=r"features\.f16\.xz: damaged"):
        FeatureStore(tmp_path)
