"""Compare two songs: python compare_litert.py BUNDLE SONG OTHER_SONG."""

import json
import sys
from pathlib import Path

import soundfile
import soxr
from ai_edge_litert.interpreter import Interpreter


def load(bundle):
    """Return the function from waveforms to embeddings, and what the bundle says."""
    facts = json.loads(Path(bundle, "manifest.json").read_text())
    encoder = Interpreter(model_path=str(Path(bundle, "encoder.tflite")))
    return encoder.get_signature_runner("serving_default"), facts


def embed(run, facts, path):
    """Return the unit-norm embedding of an audio file."""
    wanted = facts["frontend"]["sample_rate"]
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    waveform = soxr.resample(samples.mean(axis=1), rate, wanted)
    if len(waveform) < facts["min_samples"]:
        sys.exit(f"{path}: shorter than {facts['min_samples'] / wanted:.2f} s")
    if len(waveform) > facts.get("longest_seconds", 600) * wanted:
        sys.exit(f"{path}: so long a recording is embedded in parts, see ../README.md")
    embedding = run(waveform=waveform[None])["embedding"][0]
    if embedding[0] != embedding[0]:  # NaN
        sys.exit(f"{path}: is silent")
    return embedding


if __name__ == "__main__":
    run, facts = load(sys.argv[1])
    first, second = (embed(run, facts, path) for path in sys.argv[2:4])
    print(f"cosine similarity {first @ second:.4f}")
