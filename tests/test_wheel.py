"""Source distribution and wheel: what is in them, and whether the wheel works alone."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from bytecover_tf.data import tunes

ROOT = Path(__file__).parents[1]
PYTHON_FILES = {
    path.relative_to(ROOT).as_posix()
    for package in ("bytecover_tf", "export", "beetsplug")
    for path in (ROOT / package).rglob("*.py")
    if "examples" not in path.parts
}
DATA_FILES = {
    path.relative_to(ROOT).as_posix()
    for folder in ("weights", "data/tunes", "server/static")
    for path in (ROOT / "bytecover_tf" / folder).rglob("*")
    if path.is_file()
}


def run(*command, cwd, **settings):
    # Without what tests put in the way of an installed package.
    environment = {key: os.environ[key] for key in os.environ if key != "PYTHONPATH"}
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**environment, **settings},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("source")
    left_out = (
        *(".git", ".venv*", "runs", "build", "dist"),
        *("*.egg-info", "__pycache__", ".*cache"),
    )
    source = folder / "copy"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*left_out))
    build = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    run(sys.executable, "-c", build, cwd=source)
    (path,) = (source / "dist").glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Made of the source distribution, as an index makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "-w", folder)
    run(sys.executable, "-m", "pip", "wheel", "-q", *options, sdist, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


def test_the_source_has_what_it_is_built_of(sdist):
    with tarfile.open(sdist) as archive:
        names = {
            member.name.split("/", 1)[1]
            for member in archive.getmembers()
            if member.isfile()
        }
    needed = {"setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"}
    assert needed | PYTHON_FILES | DATA_FILES | {"CHANGELOG.md"} <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


@pytest.mark.slow
def test_the_wheel_has_what_users_need_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        facts = [name for name in archive.namelist() if ".dist-info/" in name]
    others = {
        "bytecover_tf/py.typed",
        *(f"bytecover_tf/matching/{name}.json" for name in ("calibration", "relation")),
        "bytecover_tf/matching/calibration-notes.json",
    }
    assert names == PYTHON_FILES | DATA_FILES | others
    assert any(name.endswith("licenses/LICENSE") for name in facts)


@pytest.mark.slow  # downloads some 300 MB
def test_the_wheel_finds_covers_in_a_clean_environment(wheel, tmp_path):
    run(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    binaries = tmp_path / "venv" / "bin"
    run(binaries / "pip", "install", "-q", f"{wheel}[catalogue]", cwd=tmp_path)

    script = """
import json, sys
import bytecover_tf
encoder = bytecover_tf.load_encoder("bytecover-small")
vectors = encoder.embed_audio(sys.argv[1:])
print(json.dumps([bytecover_tf.__file__, *(vectors @ vectors[0]).tolist()]))
"""
    library = tmp_path / "music"
    library.mkdir()
    stored, query, other = (tunes.audio_files()[number] for number in (0, 1, 4))
    for file in (stored, other):
        shutil.copy(file, library)
    python = (binaries / "python", "-c", script, query, stored, other)
    place, itself, version, stranger = json.loads(run(*python, cwd=tmp_path))
    assert Path(place).is_relative_to(tmp_path)
    assert itself == pytest.approx(1, abs=1e-5)
    assert version > stranger

    bytecover, catalogue = binaries / "bytecover", ("--catalogue", "music.catalogue")
    run(bytecover, "index", *catalogue, library, cwd=tmp_path)
    answer = run(bytecover, "identify", *catalogue, "--json", query, cwd=tmp_path)
    found = json.loads(answer)
    assert stored.stem in found["matches"][0]["recording"]
