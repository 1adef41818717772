from dataclasses import replace

import numpy as np
import pytest

from bytecover_tf.errors import StoreError
from bytecover_tf.stores.labelled_store import (
    LabelledFeatures,
    LabelledRecording,
    LabelledStore,
    LabelledStoreWriter,
)

HEADER = "id,set,role,work,kind,seconds,source,name\n"


def recording(id, **changes):
    made = LabelledRecording(
        id, "set", "train", "a, b", "full", 12.34, "here", f'"{id}".mp3'
    )
    return replace(made, **changes)


@pytest.fixture
def arrays(rng):
    return {
        "cqt12": rng.random((84, 9)) ** 4,
        "cqt36": rng.random((252, 9)) ** 4,
        "notes": rng.random((88, 9)),
        "onsets": rng.random((88, 9)),
        "melody": rng.random((88, 9)) > 0.9,
    }


def written(path, *recordings, features):
    with LabelledStoreWriter(path) as writer:
        for row in recordings:
            writer.add(row, features)
    return LabelledStore(path)


def test_what_is_read_is_what_was_written(tmp_path, arrays):
    features = LabelledFeatures.of(**arrays)
    odd = recording("b", name="line\nbreak \udcff.mp3")
    store = written(tmp_path, recording("a"), odd, features=features)
    assert list(store) == [recording("a", seconds=12.3), replace(odd, seconds=12.3)]
    read = store.features(odd)
    for key in ("cqt12", "cqt36", "scale", "notes", "onsets", "melody"):
        np.testing.assert_array_equal(getattr(read, key), getattr(features, key))
    np.testing.assert_allclose(read.notes / 255, arrays["notes"], atol=0.002)
    np.testing.assert_array_equal(read.melody, arrays["melody"])
    for key in ("cqt12", "cqt36"):
        amplitudes, k = arrays[key], arrays[key].mean() / 10
        # Codes are even steps of log(1 + amplitude / k), rounded to the nearest.
        step = np.log1p(amplitudes.max() / k) / 255
        np.testing.assert_allclose(
            np.log1p(read.amplitudes(key) / k),
            np.log1p(amplitudes / k),
            atol=0.51 * step,
        )


def test_the_melody_may_be_unknown(tmp_path, arrays):
    del arrays["melody"]
    store = written(tmp_path, recording("a"), features=LabelledFeatures.of(**arrays))
    assert store.features(recording("a")).melody is None


def test_the_melody_alone_may_be_known(tmp_path, arrays):
    del arrays["notes"], arrays["onsets"]
    store = written(tmp_path, recording("a"), features=LabelledFeatures.of(**arrays))
    read = store.features(recording("a"))
    assert read.notes is None
    assert read.onsets is None
    np.testing.assert_array_equal(read.melody, arrays["melody"])


@pytest.mark.parametrize(
    ("absent", "found"),
    [
        (("notes", "onsets", "melody"), "nothing"),
        (("notes", "melody"), "onsets"),
        (("onsets",), "notes and melody"),
    ],
)
def test_labels_that_teach_nothing_are_refused(tmp_path, arrays, absent, found):
    features = LabelledFeatures.of(**arrays)
    for key in absent:
        del arrays[key]
    with pytest.raises(StoreError, match=f"song.mp3: {found} labelled; expected"):
        LabelledFeatures.of(**arrays, name="song.mp3")
    less = replace(features, **dict.fromkeys(absent))
    with (
        LabelledStoreWriter(tmp_path) as writer,
        pytest.raises(StoreError, match=f"a.*: {found} labelled; expected"),
    ):
        writer.add(recording("a"), less)


def test_later_writers_add_and_replace(tmp_path, arrays):
    features = LabelledFeatures.of(**arrays)
    written(tmp_path, recording("a"), recording("b"), features=features)
    quiet = LabelledFeatures.of(**{**arrays, "notes": arrays["notes"] / 2})
    store = written(
        tmp_path, recording("c"), recording("a", role="dev"), features=quiet
    )
    assert [(row.id, row.role) for row in store] == [
        ("a", "dev"),
        ("b", "train"),
        ("c", "train"),
    ]
    np.testing.assert_array_equal(store.features(recording("a")).notes, quiet.notes)
    np.testing.assert_array_equal(store.features(recording("b")).notes, features.notes)


def test_several_are_added_together_or_not_at_all(tmp_path, arrays):
    features = LabelledFeatures.of(**arrays)
    first, second = recording("a"), recording("b", seconds=1.0)
    with LabelledStoreWriter(tmp_path) as writer:
        with pytest.raises(StoreError, match="expected letters"):
            writer.add_all([(first, features), (recording("../b"), features)])
        assert len(writer) == 0
        assert not list((tmp_path / "features").iterdir())
        writer.add_all([(first, features), (second, features)])
    store = LabelledStore(tmp_path)
    assert [row.id for row in store] == ["a", "b"]
    np.testing.assert_array_equal(store.features(second).notes, features.notes)


def test_one_writer_at_a_time(tmp_path):
    with (
        LabelledStoreWriter(tmp_path),
        pytest.raises(StoreError, match="another process is writing"),
    ):
        LabelledStoreWriter(tmp_path)


@pytest.mark.parametrize("key", ["cqt12", "cqt36", "notes", "onsets"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_by_name(arrays, key, value):
    arrays[key][3, 4] = value
    with pytest.raises(StoreError, match=f"song.mp3: {key} has values that are not"):
        LabelledFeatures.of(**arrays, name="song.mp3")


@pytest.mark.parametrize(
    ("key", "change", "reason"),
    [
        ("notes", lambda x: 2 * x, "notes has values from .* expected 0 to 1"),
        ("cqt12", lambda x: x - 1, "cqt12 has values from -"),
        ("cqt36", lambda x: 0 * x, "cqt36 is silent"),
        ("cqt36", lambda x: x[:84], r"cqt36 has shape \(84, 9\); expected \(252, T\)"),
        ("onsets", lambda x: x[:, 1:], r"onsets has shape \(88, 8\)"),
        ("melody", lambda x: x[:, 1:], r"melody has shape \(88, 8\)"),
        ("cqt12", lambda x: x[:, :0], r"cqt12 has shape \(84, 0\)"),
    ],
)
def test_impossible_features_are_refused(arrays, key, change, reason):
    arrays[key] = change(arrays[key])
    with pytest.raises(StoreError, match=f"song.mp3: {reason}"):
        LabelledFeatures.of(**arrays, name="song.mp3")


def test_impossible_recordings_are_refused(tmp_path, arrays):
    features = LabelledFeatures.of(**arrays)
    scale = np.full((2, 2), np.nan, np.float32)
    with LabelledStoreWriter(tmp_path) as writer:
        for row, what, reason in [
            (recording("../a"), features, "id '../a'"),
            (recording("a", seconds=np.nan), features, "seconds nan"),
            (
                recording("a"),
                replace(features, scale=scale),
                "scale is not four finite",
            ),
            (recording("a"), replace(features, notes=arrays["notes"]), "float64"),
        ]:
            with pytest.raises(StoreError, match=reason):
                writer.add(row, what)
    assert not list((tmp_path / "features").iterdir())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "has the columns ; expected id,set"),
        ("id,name\n", "has the columns id,name"),
        (HEADER + "a,s\n", "recordings.csv:2: has 2 columns"),
        (HEADER + "a,s,train,w,full,long,x,y\n", "recordings.csv:2: seconds"),
        (HEADER + "a/b,s,train,w,full,1,x,y\n", "recordings.csv:2: id 'a/b'"),
        (HEADER + 2 * "a,s,train,w,full,1,x,y\n", "recordings.csv:3: a is there twice"),
    ],
)
def test_a_damaged_list_is_named(tmp_path, content, reason):
    (tmp_path / "recordings.csv").write_text(content)
    for opened in (LabelledStore, LabelledStoreWriter):
        with pytest.raises(StoreError, match=reason):
            opened(tmp_path)
    assert (tmp_path / "recordings.csv").read_text() == content


def test_damaged_features_are_named(tmp_path, arrays):
    row = recording("a")
    store = written(tmp_path, row, features=LabelledFeatures.of(**arrays))
    path = tmp_path / "features" / "a.npz"
    stored = dict(np.load(path))
    content = path.read_bytes()
    for damage, reason in [
        (lambda: path.write_bytes(content[: len(content) // 2]), "is damaged"),
        (lambda: path.write_text("text"), "is damaged"),
        (lambda: np.savez(path, cqt12=stored["cqt12"]), "expected cqt12, cqt36, scale"),
        (lambda: np.savez(path, **stored, more=1), "expected cqt12"),
        (lambda: np.savez(path, **{**stored, "scale": np.inf}), "scale is not"),
        (
            lambda: np.savez(path, **{**stored, "notes": stored["notes"][:12]}),
            r"notes has shape \(12, 9\)",
        ),
        (path.unlink, "is missing"),
    ]:
        damage()
        with pytest.raises(StoreError, match=rf"a\.npz: {reason}"):
            store.features(row)


def test_a_changed_byte_is_named(tmp_path, arrays):
    row = recording("a")
    store = written(tmp_path, row, features=LabelledFeatures.of(**arrays))
    path = tmp_path / "features" / "a.npz"
    content = path.read_bytes()
    told = []
    for position in range(0, len(content), 7):
        changed = bytearray(content)
        changed[position] ^= 255
        path.write_bytes(changed)
        try:
            store.features(row)
        except StoreError as error:
            told.append(str(error))
    assert len(told) > 100
    assert all(reason.startswith(f"{path}: ") for reason in told)


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path, arrays):
    written(tmp_path, recording("a"), features=LabelledFeatures.of(**arrays))
    path = tmp_path / "recordings.csv"
    path.write_text("\ufeff" + path.read_text())
    assert [each.id for each in LabelledStore(tmp_path)] == ["a"]
    with LabelledStoreWriter(tmp_path) as writer:
        assert writer.find("a").name == recording("a").name


def test_any_name_can_be_listed(tmp_path, arrays):
    row = replace(recording("a"), name='a\rb\n"c", d')
    written(tmp_path, row, features=LabelledFeatures.of(**arrays))
    assert [each.name for each in LabelledStore(tmp_path)] == [row.name]


def test_a_folder_without_a_list_is_no_store(tmp_path):
    with pytest.raises(StoreError, match="recordings.csv is missing"):
        LabelledStore(tmp_path)
