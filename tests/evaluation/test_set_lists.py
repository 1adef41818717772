import json
from functools import cache

import numpy as np
import pytest

from bytecover_tf.errors import DataError
from bytecover_tf.evaluate import main
from bytecover_tf.evaluation.set_lists import (
    Played,
    boundary_deviation,
    edit_distance,
    read_set_list,
    time_found,
    write_set_list,
)

CONCERT = [
    Played("Help!", 0.0, 121.5),
    Played("Yesterday", 130.25, 250.0),
    Played("Help!", 250.0, 371.0),
]


def test_lists_are_read_as_written(tmp_path):
    path = tmp_path / "concert.txt"
    write_set_list(path, CONCERT)
    assert path.read_text() == (
        "0.000\t121.500\tHelp!\n130.250\t250.000\tYesterday\n250.000\t371.000\tHelp!\n"
    )
    assert read_set_list(path) == CONCERT
    sequence = [Played(one.song) for one in CONCERT]
    write_set_list(path, sequence)
    assert path.read_text() == "Help!\nYesterday\nHelp!\n"
    assert read_set_list(path) == sequence


def test_names_are_compared_however_accents_are_written(tmp_path):
    path = tmp_path / "concert.txt"
    found = []
    for form in ("Cafe\u0301", "Caf\u00e9"):
        path.write_text(f"0\t9\t{form}\n", encoding="utf-8")
        found.append(read_set_list(path))
    assert edit_distance(*found) == 0
    assert time_found(*found) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\t2\n", ":1: expected a song, or start, end and song .* found 2 fields"),
        ("1\t2\t \n", ":1: expected a song, or start"),
        ("2\t1\ta\n", ":1: expected seconds with the end after the start"),
        ("x\t1\ta\n", "found 'x' and '1'"),
        ("0\tnan\ta\n", "found '0' and 'nan'"),
        ("0\t1\ta\nb\n", ":2: expected times on every line"),
        ("5\t6\ta\n0\t1\tb\n", ":2: expected songs in the order of their starts"),
    ],
)
def test_malformed_lists(tmp_path, text, message):
    path = tmp_path / "concert.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_set_list(path)


def test_names_that_would_break_lines_are_refused(tmp_path):
    for name in ("a\tb", "a\nb", " "):
        with pytest.raises(DataError, match="on one line"):
            write_set_list(tmp_path / "concert.txt", [Played(name)])
    assert not list(tmp_path.iterdir())


def test_edit_distance_equals_the_definition(rng):
    def slow(a, b):
        @cache
        def distance(i, j):
            if i == len(a) or j == len(b):
                return len(a) - i + len(b) - j
            if a[i] == b[j]:
                return distance(i + 1, j + 1)
            return 1 + min(
                distance(i + 1, j), distance(i, j + 1), distance(i + 1, j + 1)
            )

        return distance(0, 0)

    for _ in range(50):
        a, b = (rng.choice(list("abcd"), rng.integers(0, 8)) for _ in range(2))
        lists = [[Played(song) for song in songs] for songs in (a, b)]
        assert edit_distance(*lists) == slow(tuple(a), tuple(b))


def test_boundaries_are_off_by_the_mean_of_both_ends():
    found = [
        Played("Help!", 2.0, 121.5),
        Played("Yesterday", 130.25, 247.0),
        Played("Help!", 250.0, 371.0),
    ]
    assert boundary_deviation(found, CONCERT) == pytest.approx((2 + 3) / 6)
    with pytest.raises(DataError, match="found 2 for 3"):
        boundary_deviation(found[:2], CONCERT)
    with pytest.raises(DataError, match="'Help!' has no times"):
        boundary_deviation([Played(one.song) for one in CONCERT], CONCERT)


def test_time_found_equals_a_count_of_instants():
    found = [
        Played("Yesterday", 100.0, 200.0),
        Played("Help!", 0.0, 90.0),
        Played("Help!", 300.0, 400.0),
    ]

    def at(songs, instant):
        return {one.song for one in songs if one.start <= instant < one.end}

    instants = np.arange(0, 400, 0.25)
    playing = [instant for instant in instants if at(CONCERT, instant)]
    right = [at(CONCERT, i) == at(found, i) for i in playing]
    assert time_found(found, CONCERT) == pytest.approx(np.mean(right))
    assert time_found(CONCERT, CONCERT) == 1
    faded = [Played("a", 0, 120), Played("b", 100, 130)]
    assert time_found(faded, faded) == 1
    twice = [Played("a", 0, 120), Played("a", 100, 130)]
    with pytest.raises(DataError, match="'a' is played twice at 100 s"):
        time_found(CONCERT, twice)


def test_stretches_of_one_song_may_overlap_where_it_is_found():
    """A system makes each song a little longer than it can be sure of."""
    found = [
        Played("Help!", 0.0, 70.0),
        Played("Help!", 10.0, 30.0),
        Played("Help!", 60.0, 121.5),
        Played("Yesterday", 130.25, 250.0),
    ]
    assert time_found(found, CONCERT) == pytest.approx((121.5 + 119.75) / 362.25)


def test_the_command_compares_what_was_found_with_what_was_played(tmp_path, capsys):
    played, found = tmp_path / "played.txt", tmp_path / "found.txt"
    write_set_list(played, CONCERT)
    write_set_list(found, [Played("Help!", 0.0, 120.5), Played("Something", 121, 250)])
    figures = tmp_path / "figures" / "found.json"
    lists = ["--set-list", str(found), str(played)]
    assert main([*lists, "--json", str(figures)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "3 songs played, 2 found, edit distance 2",
        # 120.5 of 121.5 + 119.75 + 121 seconds.
        "share of the time that has the right song: 0.333",
    ]
    assert json.loads(figures.read_text()) == {
        "songs": 3,
        "found": 2,
        "edit_distance": 2,
        "time_found": pytest.approx(120.5 / 362.25),
        "boundary_deviation": None,
    }
    moved = [Played(song, start + 1, end + 3) for song, start, end in CONCERT]
    write_set_list(found, moved)
    assert main(lists) == 0
    assert "mean deviation of boundaries: 2.00 s" in capsys.readouterr().out
    found.write_text("Help!\nYesterday\nHelp!\n")
    assert main(lists) == 0
    assert capsys.readouterr().out == "3 songs played, 3 found, edit distance 0\n"
    found.write_text("")
    assert main([*lists, "--json", str(figures)]) == 0
    assert "3 songs played, 0 found, edit distance 3" in capsys.readouterr().out
    assert json.loads(figures.read_text())["time_found"] == 0
    with pytest.raises(DataError, match=r"found\.txt: expected a line for each song"):
        main(["--set-list", str(played), str(found)])
    with pytest.raises(SystemExit):
        main([*lists, "--json", str(tmp_path)])
    assert "expected a file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*lists, "--plots", str(tmp_path)])
    assert "--plots and --mirex are not for a --set-list" in capsys.readouterr().err
