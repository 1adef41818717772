"""Compare two songs: python compare.py encoder_waveform.onnx SONG OTHER_SONG."""

import json
import sys

import onnxruntime
import soundfile
import soxr


def embed(encoder, path):
    """Return the unit-norm embedding of an audio file."""
    facts = json.loads(encoder.get_modelmeta().custom_metadata_map["bytecover"])
    wanted = facts["frontend"]["sample_rate"]
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    waveform = soxr.resample(samples.mean(axis=1), rate, wanted)
    if len(waveform) < facts["min_samples"]:
        sys.exit(f"{path}: shorter than {facts['min_samples'] / wanted:.2f} s")
    if len(waveform) > facts.get("longest_seconds", 600) * wanted:
        sys.exit(f"{path}: so long a recording is embedded in parts, see ../README.md")
    embedding = encoder.run(["embedding"], {"waveform": waveform[None]})[0][0]
    if embedding[0] != embedding[0]:  # NaN
        sys.exit(f"{path}: is silent")
    return embedding


if __name__ == "__main__":
    encoder = onnxruntime.InferenceSession(sys.argv[1])
    first, second = (embed(encoder, path) for path in sys.argv[2:4])
    print(f"cosine similarity {first @ second:.4f}")
