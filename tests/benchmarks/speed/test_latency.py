import numpy as np

from benchmarks.speed.latency import header, rows_of


def test_every_cell_has_a_column():
    unit = np.eye(2, 4)
    results = {"Keras": ([0.2, 0.1, 0.3], unit, 2**20), "ONNX": ([0.1], unit, 2**21)}
    names, rows = header(list(results)), rows_of(results, unit)
    assert {len(row) for row in rows} == {len(names)}
    runs = [row[names.index("runs")] for row in rows]
    assert runs == ["3", "1"]
