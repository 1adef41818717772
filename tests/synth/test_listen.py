import re

import numpy as np
import pytest
import soundfile
from random_tunes import tune

from bytecover_tf import cli
from bytecover_tf.errors import AudioError
from bytecover_tf.synth import listen
from bytecover_tf.synth.playing.arrange import arrange
from bytecover_tf.synth.playing.style import draw_style


@pytest.fixture(autouse=True)
def without_fluidsynth(monkeypatch):
    """Three tunes, played as noise; the second work cannot be rendered."""

    def perform(version):
        if version.work == "2":
            raise AudioError(f"{version.id}: no soundfont")
        rng = np.random.default_rng(version.seed)
        style = draw_style(version.score, rng)
        performance = arrange(version.score, style, rng)
        return performance, style, "Font", rng.uniform(-0.5, 0.5, 30 * 22050)

    monkeypatch.setattr(listen, "perform", perform)
    scores = [tune(i, title=f"<Tune> {i}") for i in range(3)]
    monkeypatch.setattr(listen, "read_scores", lambda *_: scores)


def test_the_page_has_each_versions_sound_and_picture(tmp_path, capsys):
    out = tmp_path / "page"
    status = listen.main(["--out", str(out), "--versions", "2"])
    assert status == cli.SOME_FAILED
    page = (out / "index.html").read_text()
    assert page.count("<h2>") == 4
    assert "&lt;Tune&gt;" in page
    assert "<Tune>" not in page
    sounds, pictures = (
        re.findall(rf'src="(\S+\.{end})"', page) for end in ("flac", "png")
    )
    assert sorted(sounds) == [f"{work}-{i}.flac" for work in (1, 3) for i in (0, 1)]
    for name in sounds:
        samples, rate = soundfile.read(out / name)
        assert (len(samples), rate) == (30 * 22050, 22050)
    for name in pictures:
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "4 versions, 2 failed" in printed
    assert "2-0: no soundfont" in printed


def test_without_any_version_there_is_no_page(tmp_path, monkeypatch):
    def fail(version):
        raise AudioError("fluidsynth is not on the PATH")

    monkeypatch.setattr(listen, "perform", fail)
    assert listen.main(["--out", str(tmp_path), "--works", "1"]) == cli.NOTHING_DONE
    assert not (tmp_path / "index.html").exists()


def test_the_style_is_told_in_words():
    rng = np.random.default_rng(0)
    score = tune(0)
    style = draw_style(score, rng)
    words = listen.describe(style, arrange(score, style, rng), "Font")
    assert f"melody (program {style.lead})" in words
    assert f"{style.key_shift:+d} semitones" in words
    assert words.endswith("; Font")
