import sys

import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.model_file import load_model, save_model
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
