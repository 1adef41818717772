import importlib
import re
import shlex
from pathlib import Path

import pytest
import soundfile

from bytecover_tf.__main__ import COMMANDS as SUBCOMMANDS
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.tunes import audio_files
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from export.bundle import export

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language):
    """The fenced blocks of one language on all pages, each with its page."""
    return [
        (page, block)
        for page in PAGES
        for block in re.findall(
            rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S
        )
    ]


def test_python_examples_run(tmp_path, monkeypatch, capsys):
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    (tmp_path / "runs" / "tunes-quick").mkdir(parents=True)
    save_model(model, tmp_path / "runs/tunes-quick/encoder.keras", Frontend(), {})
    inputs = ["features", "waveform"]
    export(tmp_path / "runs/tunes-quick", tmp_path / "bundle", ["onnx"], inputs)
    for name, path in zip("ab", audio_files(), strict=False):
        samples, rate = soundfile.read(path)
        soundfile.write(tmp_path / f"{name}.mp3", samples, rate)
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert examples
    for page, example in examples:
        exec(compile(example, str(page), "exec"), {})
    printed = capsys.readouterr().out
    assert "(16, 16) {}" in printed
    similarity = float(re.search(r"similarity: (\S+)", printed).group(1))
    a, b = load_encoder("runs/tunes-quick").embed_audio(["a.mp3", "b.mp3"])
    assert similarity == pytest.approx(float(a @ b), abs=1e-3)


COMMANDS = [
    (page.name, shlex.split(line))
    for page, block in blocks("bash")
    for line in block.splitlines()
    if line.startswith("python -m ")
]


@pytest.mark.parametrize(
    "command",
    [command for _, command in COMMANDS],
    ids=[f"{page}: {' '.join(command)}" for page, command in COMMANDS],
)
def test_commands_use_options_that_exist(command, capsys):
    name = {"export": "export.__main__"}.get(command[2], command[2])
    module = importlib.import_module(name)
    with pytest.raises(SystemExit):
        module.main(["--help"])
    text = capsys.readouterr().out
    for option in command[3:]:
        if option.startswith("--"):
            assert re.search(rf"{option}\b", text), option


def test_a_page_one_click_away_lists_every_command_with_its_guide():
    assert "(docs/commands.md)" in PAGES[0].read_text()
    row = r"^\| `python -m (\S+)` \| \[.*\]\([\w-]+\.md\S*\).* \|$"
    listed = re.findall(row, (ROOT / "docs" / "commands.md").read_text(), re.M)
    expected = {f"bytecover_tf.{name}" for name in SUBCOMMANDS} | {"export"}
    assert expected <= set(listed)


def heading_anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize(
    "page",
    [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"],
    ids=lambda p: p.name,
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith("http"):
            name, _, anchor = target.partition("#")
            linked = page.parent / name if name else page
            assert linked.exists(), target
            assert not anchor or anchor in heading_anchors(linked), target


def test_every_page_is_two_clicks_from_the_readme():
    index = (ROOT / "docs" / "index.md").read_text()
    assert "(docs/index.md)" in PAGES[0].read_text()
    for page in PAGES[1:]:
        assert page.name == "index.md" or f"({page.name})" in index, page.name
