import importlib
import re
import shlex
from pathlib import Path

import pytest
import soundfile

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.tunes import audio_files
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.models.bytecover import ByteCover
from export.bundle import export

README = Path(__file__).parent.parent / "README.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.M | re.S)


def test_python_examples_run(tmp_path, monkeypatch, capsys):
    model = ByteCover(blocks=(1, 1, 1, 1), width=4)
    model.build((None, 84, None, 1))
    (tmp_path / "runs" / "tunes").mkdir(parents=True)
    save_model(model, tmp_path / "runs/tunes/encoder.keras", Frontend(), {})
    export(tmp_path / "runs/tunes", tmp_path / "bundle", ["onnx"], ["waveform"])
    for name, path in zip("ab", audio_files(), strict=False):
        samples, rate = soundfile.read(path)
        soundfile.write(tmp_path / f"{name}.mp3", samples, rate)
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert examples
    for example in examples:
        exec(compile(example, str(README), "exec"), {})
    printed = capsys.readouterr().out
    assert "(16, 16) {}" in printed
    similarity = float(re.search(r"similarity: (\S+)", printed).group(1))
    a, b = load_encoder("runs/tunes").embed_audio(["a.mp3", "b.mp3"])
    assert similarity == pytest.approx(float(a @ b), abs=1e-3)


COMMANDS = [
    shlex.split(line)
    for block in blocks("bash")
    for line in block.splitlines()
    if line.startswith("python -m ")
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_use_options_that_exist(command, capsys):
    name = {"export": "export.__main__"}.get(command[2], command[2])
    module = importlib.import_module(name)
    with pytest.raises(SystemExit):
        module.main(["--help"])
    text = capsys.readouterr().out
    for option in command[3:]:
        if option.startswith("--"):
            assert re.search(rf"{option}\b", text), option
