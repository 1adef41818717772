"""The plug-in in the real beets, run as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

pytest.importorskip("beets")
pytest.importorskip("lancedb")
# Each question starts beets anew.
pytestmark = pytest.mark.slow

from bytecover_tf.catalogues import open_catalogue  # noqa: E402

ROOT = Path(__file__).parents[1]

CONFIG = """\
directory: {folder}/library
library: {folder}/library.db
plugins: bytecover
import:
    copy: no
    write: no
    autotag: no
bytecover:
    catalogue: {folder}/music.catalogue
"""


@pytest.fixture
def beet(tmp_path, music):
    """A beets library of three recordings; returns what runs a command in it."""
    import mutagen

    folder = tmp_path / "music"
    folder.mkdir()
    # One and a faster version of it, and a stranger.
    samples = {
        "first": music(40, 1),
        "cover": music(40, 1)[:-2205],
        "stranger": music(40, 2),
    }
    for name, sound in samples.items():
        rate = 23000 if name == "cover" else 22050
        soundfile.write(folder / f"{name}.flac", sound, rate)
        file = mutagen.File(folder / f"{name}.flac")
        file.update({"title": name, "artist": "Ä", "isrc": "GBAYE0601498"})
        file.save()
    (tmp_path / "config.yaml").write_text(CONFIG.format(folder=tmp_path))
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "BEETSDIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(paths),
    }

    def run(*arguments, status=0):
        done = subprocess.run(
            [sys.executable, "-m", "beets", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=500,
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    run("import", "-q", folder)
    return run


def test_covers_are_indexed_grouped_listed_and_asked_for(beet, tmp_path):
    assert "there is no catalogue" in beet("covers", status=1)
    assert "3 added" in beet("bytecover", "index")
    assert "3 already there" in beet("bytecover", "index")
    listed = beet("ls", "-f", "$title $bytecover_versions", "bytecover_work::.")
    assert sorted(listed.splitlines()) == ["cover 0", "first 0", "stranger 0"]
    assert "1 group of 2 recordings" in beet("bytecover", "group")
    listed = beet("ls", "-f", "$title", "bytecover_versions:1..")
    assert sorted(listed.split()) == ["cover", "first"]
    told = beet("covers", "title:first")
    assert f"Ä - cover  {tmp_path}/music/cover.flac" in told
    assert "stranger" not in told
    assert beet("covers", "title:stranger") == ""
    beet("modify", "-y", "-W", "title:cover", "composers=X; Y")
    assert "1 updated, 2 already there, 0 removed" in beet("bytecover", "index")
    with open_catalogue(tmp_path / "music.catalogue") as catalogue:
        composers = {one.title: one.composer for one in catalogue.recordings()}
    assert composers["cover"] == "X; Y"
    beet("rm", "-f", "-d", "title:stranger")
    assert "2 already there, 1 removed" in beet("bytecover", "index")
    told = beet("bytecover", "ask", tmp_path / "music" / "cover.flac")
    assert "the same recording as" in told
    assert "expected index, group, ask" in beet("bytecover", "sing", status=1)
    told = beet("bytecover", "ask", tmp_path / "none.flac", status=1)
    assert "none of the files could be read" in told
