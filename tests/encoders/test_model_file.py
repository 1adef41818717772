import json
import sys
import zipfile
from contextlib import suppress

import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.model_file import load_model, read_info, save_model
from bytecover_tf.errors import EncoderError
from bytecover_tf.models.bytecover import ByteCover


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize("room", [0, 20_000])
def test_a_full_disk_keeps_what_was_saved_before(tmp_path, room):
    import resource

    model = ByteCover(blocks=(1, 1, 1, 1), width=4)
    model.build((None, 84, None, 1))
    path = tmp_path / "checkpoint.keras"
    save_model(model, path, Frontend(), {"epoch": 1})
    kept = path.read_bytes()
    assert len(kept) > room
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError, match=r"checkpoint\.keras"):
            save_model(model, path, Frontend(), {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == kept
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert load_model(path)[1]["epoch"] == 1


@pytest.fixture
def saved(tmp_path):
    model = ByteCover(blocks=(1, 1, 1, 1), width=2)
    model.build((None, 84, None, 1))
    save_model(model, tmp_path / "encoder.keras", Frontend(), {})
    return tmp_path / "encoder.keras"


def rewrite(path, member, content):
    """Put other content into a member of an archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, member: content}.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("bytecover.json", b"[]"),
        ("bytecover.json", b"null"),
        ("config.json", b"[" * 100_000),
        ("config.json", b"null"),
        ("config.json", b'{"registered_name": "bytecover_tf>ByteCover"}'),
        ("model.weights.h5", b"no HDF5"),
    ],
)
def test_damage_of_any_member_names_the_file(saved, member, content):
    rewrite(saved, member, content)
    with pytest.raises(EncoderError, match=r"encoder\.keras"):
        load_model(saved)


def test_flipped_bytes_of_an_archive_name_the_file(saved):
    content = bytearray(saved.read_bytes())
    for start in range(0, len(content), len(content) // 6):
        damaged = content.copy()
        damaged[start : start + 40] = bytes(byte ^ 255 for byte in damaged[start:][:40])
        saved.write_bytes(damaged)
        # Any other error fails this test. Some flips do no harm.
        with suppress(EncoderError):
            load_model(saved)


@pytest.mark.parametrize(
    "foreign", [None, {}, {"input_shape": None}, {"shapes_dict": {"x": [None, 84]}}]
)
def test_a_model_that_cannot_be_built_is_refused(saved, foreign):
    with zipfile.ZipFile(saved) as archive:
        config = json.loads(archive.read("config.json"))
    config["build_config"] = foreign
    rewrite(saved, "config.json", json.dumps(config).encode())
    with pytest.raises(EncoderError, match=r"encoder\.keras"):
        load_model(saved)


def test_an_interrupt_during_a_load_is_one(saved, monkeypatch):
    def interrupted(self, input_shape):
        raise KeyboardInterrupt

    monkeypatch.setattr(ByteCover, "build", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_model(saved)


def test_other_weights_under_the_same_name_are_refused(saved):
    other = saved.with_name("other.keras")
    model = ByteCover(blocks=(1, 1, 1, 1), width=2)
    model.build((None, 84, None, 1))
    save_model(model, other, Frontend(), {})
    with zipfile.ZipFile(other) as archive:
        rewrite(saved, "model.weights.h5", archive.read("model.weights.h5"))
    with pytest.raises(EncoderError, match=r"encoder\.keras: does not give the embed"):
        load_model(saved)


def test_a_file_without_a_probe_is_read(saved):
    info = read_info(saved)
    assert len(info.pop("probe")) == 64
    rewrite(saved, "bytecover.json", json.dumps(info).encode())
    assert load_model(saved)[1] == info
