"""Trained encoders: their files, and the runtimes that run them."""
