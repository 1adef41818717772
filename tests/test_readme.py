import importlib
import re
import shlex
from pathlib import Path

import pytest

from bytecover_tf.artifact import save_model
from bytecover_tf.frontend import Frontend
from bytecover_tf.models.bytecover import ByteCover

README = Path(__file__).parent.parent / "README.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.M | re.S)


def test_python_examples_run(tmp_path, monkeypatch, capsys):
    model = ByteCover(blocks=(1, 1, 1, 1), width=4)
    model.build((None, 84, None, 1))
    (tmp_path / "runs" / "tunes").mkdir(parents=True)
    save_model(model, tmp_path / "runs/tunes/encoder.keras", Frontend(), {})
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert examples
    for example in examples:
        exec(compile(example, str(README), "exec"), {})
    assert "(16, 16) {}" in capsys.readouterr().out


COMMANDS = [
    shlex.split(line)
    for block in blocks("bash")
    for line in block.splitlines()
    if line.startswith("python -m bytecover_tf.")
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_use_options_that_exist(command, capsys):
    module = importlib.import_module(command[2])
    with pytest.raises(SystemExit):
        module.main(["--help"])
    text = capsys.readouterr().out
    for option in command[3:]:
        if option.startswith("--"):
            assert re.search(rf"{option}\b", text), option
