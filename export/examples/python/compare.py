"""Compare two songs: python compare.py encoder_waveform.onnx SONG OTHER_SONG."""

import sys

import onnxruntime
import soundfile
import soxr


def embed(encoder, path):
    """Return the unit-norm embedding of an audio file."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    waveform = soxr.resample(samples.mean(axis=1), rate, 22050)
    return encoder.run(["embedding"], {"waveform": waveform[None]})[0][0]


if __name__ == "__main__":
    encoder = onnxruntime.InferenceSession(sys.argv[1])
    first, second = (embed(encoder, path) for path in sys.argv[2:4])
    print(f"cosine similarity {first @ second:.4f}")
