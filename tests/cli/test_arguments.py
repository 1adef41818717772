import pytest

from bytecover_tf import (
    calibrate,
    cli,
    compare,
    evaluate,
    features,
    group,
    identify,
    index,
    label,
    monitor,
    serve,
    train,
    train_hearing,
)

CATALOGUE = ["--catalogue", "c"]


@pytest.mark.parametrize(
    "value", ["0", "-1", "1.5", "nan", "inf", "many", "", "9" * 20]
)
@pytest.mark.parametrize(
    ("main", "arguments", "option"),
    [
        (identify.main, [*CATALOGUE, "x.mp3"], "--top"),
        (identify.main, [*CATALOGUE, "x.mp3"], "--candidates"),
        (identify.main, [*CATALOGUE, "x.mp3"], "--workers"),
        (index.main, [*CATALOGUE, "music"], "--workers"),
        (group.main, CATALOGUE, "--candidates"),
        (calibrate.main, CATALOGUE, "--queries"),
        (features.main, ["--data", "tunes"], "--workers"),
        (evaluate.main, ["--encoder", "e"], "--align"),
        (label.main, ["music", "--out", "o"], "--workers"),
        (monitor.main, [*CATALOGUE, "x"], "--attempts"),
        (serve.main, CATALOGUE, "--max-upload"),
        (train_hearing.main, ["--labelled", "l", "--run-dir", "r"], "--steps"),
    ],
)
def test_a_count_is_a_whole_number_from_one(main, arguments, option, value, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, f"{option}={value}"])
    assert stop.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}: expected a whole number from 1 on" in last
    assert repr(value) in last


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "long"])
def test_seconds_are_finite_and_above_zero(value, capsys):
    with pytest.raises(SystemExit) as stop:
        index.main([*CATALOGUE, "music", "--segments", "40", value])
    assert stop.value.code == 2
    assert "argument --segments: expected a finite number" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "1.5", "nan", "much"])
def test_a_probability_is_at_most_one(value, capsys):
    with pytest.raises(SystemExit):
        identify.main([*CATALOGUE, "x.mp3", "--setlist", f"--least={value}"])
    assert "argument --least: expected a" in capsys.readouterr().err
    assert cli.probability("1") == 1


@pytest.mark.parametrize("name", ["p.xyz", "p", ".png", "p.npy"])
def test_a_picture_is_refused_before_anything_is_computed(name, capsys):
    with pytest.raises(SystemExit):
        compare.main(["a.mp3", "b.mp3", "--plot", name])
    assert "argument --plot: expected a name that ends in" in capsys.readouterr().err
    assert cli.picture_file("p.PNG").name == "p.PNG"


@pytest.mark.parametrize("name", ["none/x.png", "folder.png"])
def test_a_file_that_cannot_be_written_is_refused_before_all_work(
    name, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    reason = "no folder none" if "/" in name else "is a folder"
    with pytest.raises(SystemExit):
        compare.main(["a.mp3", "b.mp3", "--plot", name])
    assert reason in capsys.readouterr().err
    with pytest.raises(SystemExit):
        group.main([*CATALOGUE, "--csv", name])
    assert reason in capsys.readouterr().err


def test_a_port_has_sixteen_bits(capsys):
    # The system would take the lower ones of more.
    with pytest.raises(SystemExit):
        serve.main([*CATALOGUE, "--port", "65536"])
    assert "argument --port: expected a port" in capsys.readouterr().err
    assert (cli.port("0"), cli.port("65535")) == (0, 65535)


def test_a_seed_may_be_zero(capsys):
    assert cli.natural_int("0") == 0
    with pytest.raises(SystemExit):
        train.main(["--seed=-1"])
    assert "argument --seed" in capsys.readouterr().err
