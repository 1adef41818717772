"""Decoding of recordings, and the features and chroma that are computed from them."""

from bytecover_tf.audio.decoding import iter_audio, load_audio

__all__ = ["iter_audio", "load_audio"]
