from benchmarks.speed import hearing_step


def test_both_kinds_of_layers_take_the_same_steps(monkeypatch):
    small = {
        "Salience": (
            hearing_step.LAYERS["Salience"][0],
            (2, 84, 20, 1),
            (2, 84, 20, 2),
        ),
        "NoteNetwork": (
            *hearing_step.LAYERS["NoteNetwork"][:1],
            *((2, 252, 30, 1), (2, 84, 15, 3)),
        ),
    }
    monkeypatch.setattr(hearing_step, "LAYERS", small)
    rows = hearing_step.measure(1)  # fails where the losses differ
    assert [row[1] for row in rows] == ["Keras's", "ours"] * 2
    assert [row[3] for row in rows[::2]] == ["1.00", "1.00"]
