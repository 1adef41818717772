from benchmarks.speed.drawing import WAYS, Clock, rows_of


def test_the_clock_adds_up_and_hands_on_results():
    clock = Clock()
    assert clock.time("adding", sum, [1, 2]) == 3
    once = clock.seconds["adding"]
    clock.time("adding", sum, [1, 2])
    assert clock.seconds["adding"] > once > 0


def test_each_way_is_the_sum_of_its_stages():
    seconds = dict.fromkeys(WAYS["drawn"], 1.0) | dict.fromkeys(WAYS["rendered"], 2.0)
    drawn, rendered = (
        next(row for row in rows_of(seconds, 4) if row[:2] == [way, "all"])
        for way in ("drawn", "rendered")
    )
    # Arranging takes 2 s, whichever way it goes on.
    assert drawn[2:] == ["1000.0", "1.0", "2.0"]
    assert rendered[2:] == ["2000.0", "0.5", "1.0"]
