import soundfile

from benchmarks.speed import memory


def test_commands_are_run_and_their_memory_is_seen(tmp_path, music, capfd):
    paths = [tmp_path / f"{seed}.wav" for seed in range(2)]
    for seed, path in enumerate(paths):
        soundfile.write(path, music(12, seed=seed), 22050)
    catalogue = tmp_path / "catalogue"
    indexed = memory.index(catalogue, "bytecover-small", paths)
    asked = memory.identify(catalogue, paths[0])
    # What LanceDB and ONNX Runtime take at the least, and no more than for hours.
    assert all(2**26 < peak < 2**30 for peak in (indexed, asked))
    assert any(catalogue.iterdir())
    assert capfd.readouterr().out == ""
