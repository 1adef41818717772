"""Compare: python compare_saved_model.py BUNDLE/saved_model/1 SONG.wav OTHER.wav."""

import json
import sys
from pathlib import Path

import tensorflow as tf


def embed(encoder, facts, path):
    """Return the unit-norm embedding of a WAV file of 16-bit samples."""
    wanted = facts["frontend"]["sample_rate"]
    samples, rate = tf.audio.decode_wav(tf.io.read_file(path))
    if rate != wanted:
        sys.exit(f"{path}: its rate is {rate} Hz; make it {wanted} Hz with ffmpeg")
    waveform = tf.reduce_mean(samples, axis=1)
    if len(waveform) < facts["min_samples"]:
        sys.exit(f"{path}: shorter than {facts['min_samples'] / wanted:.2f} s")
    if len(waveform) > facts.get("longest_seconds", 600) * wanted:
        sys.exit(f"{path}: so long a recording is embedded in parts, see ../README.md")
    embedding = encoder(waveform=waveform[None])["embedding"][0].numpy()
    if embedding[0] != embedding[0]:  # NaN
        sys.exit(f"{path}: is silent")
    return embedding


if __name__ == "__main__":
    encoder = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
    facts = json.loads((Path(sys.argv[1]).parents[1] / "manifest.json").read_text())
    first, second = (embed(encoder, facts, path) for path in sys.argv[2:4])
    print(f"cosine similarity {first @ second:.4f}")
