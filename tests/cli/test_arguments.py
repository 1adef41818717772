import pytest

from bytecover_tf import (
    calibrate,
    cli,
    evaluate,
    features,
    group,
    identify,
    index,
    train,
)

CATALOGUE = ["--catalogue", "c"]


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "nan", "inf", "many", ""])
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


def test_a_seed_may_be_zero(capsys):
    assert cli.natural_int("0") == 0
    with pytest.raises(SystemExit):
        train.main(["--seed=-1"])
    assert "argument --seed" in capsys.readouterr().err
