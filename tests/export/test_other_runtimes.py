"""Exported ONNX files in OpenVINO and tract, which check more than ONNX Runtime."""

import numpy as np
import onnxruntime
import pytest

VARIANTS = [
    (source, suffix)
    for source in ("features", "waveform")
    for suffix in ("", "_float16", "_int8")
]
SHAPES = {
    "features": ((1, 84, 5), (3, 84, 31)),
    "waveform": ((1, 60_000), (3, 110_000)),
}
# Largest distance between two embeddings of unit norm. Sums in another order round
# 8-bit values to another side.
TOLERANCES = {"": 1e-4, "_float16": 1e-2, "_int8": 0.3}


@pytest.fixture(autouse=True)
def without_amx(monkeypatch):
    """With AMX, OpenVINO gets the 8-bit convolutions of this small network wrong."""
    # It is read once, before the first network is compiled.
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI")


def run_openvino(path):
    openvino = pytest.importorskip("openvino")
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    return lambda batch: compiled(batch)["embedding"]


def run_tract(path):
    tract = pytest.importorskip("tract")

    def run(batch):
        graph = tract.onnx().load(str(path))
        graph.set_input_fact(0, f"{','.join(map(str, batch.shape))},f32")
        graph.analyse()
        return graph.into_model().into_runnable().run([batch])[0].to_numpy()

    return run


@pytest.mark.parametrize("runtime", [run_openvino, run_tract])
@pytest.mark.parametrize(("source", "suffix"), VARIANTS)
def test_it_gives_the_embeddings_of_onnx_runtime(bundle, runtime, source, suffix, rng):
    path = bundle / f"encoder_{source}{suffix}.onnx"
    run = runtime(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in SHAPES[source]:
        batch = np.abs(rng.normal(size=shape)).astype(np.float32)
        (expected,) = session.run(None, {source: batch})
        distance = np.linalg.norm(run(batch) - expected, axis=1).max()
        assert distance < TOLERANCES[suffix]


@pytest.mark.parametrize("runtime", [run_openvino, run_tract])
@pytest.mark.parametrize(("source", "suffix"), VARIANTS)
def test_silence_and_nan_give_nan(bundle, runtime, source, suffix, rng):
    run = runtime(bundle / f"encoder_{source}{suffix}.onnx")
    good = np.abs(rng.normal(size=SHAPES[source][0])).astype(np.float32)
    poisoned, infinite = good.copy(), good.copy()
    poisoned[..., 3], infinite[..., 3] = np.nan, np.inf
    found = run(np.concatenate([good, 0 * good, poisoned, infinite]))
    assert np.isfinite(found).all(axis=1).tolist() == [True, False, False, False]
    assert np.isnan(found[1:]).all()
