"""Compare: python compare_saved_model.py saved_model/1 SONG.wav OTHER.wav."""

import sys

import tensorflow as tf


def embed(encoder, path):
    """Return the unit-norm embedding of a WAV file of 16-bit samples."""
    samples, rate = tf.audio.decode_wav(tf.io.read_file(path))
    if rate != 22050:
        sys.exit(f"{path}: its rate is {rate} Hz; make it 22050 Hz with ffmpeg")
    waveform = tf.reduce_mean(samples, axis=1)
    return encoder(waveform=waveform[None])["embedding"][0].numpy()


if __name__ == "__main__":
    encoder = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
    first, second = (embed(encoder, path) for path in sys.argv[2:4])
    print(f"cosine similarity {first @ second:.4f}")
