"""Decoding of recordings, and the features and chroma that are computed from them."""
